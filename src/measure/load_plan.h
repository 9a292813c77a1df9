/* What a load consists of: conversations of one or more turns, their words, their lengths, when they arrive.
 * All of it follows from the options and the seed: the same plan sends the same requests. (In a conversation
 * the later turns carry the server's answers, so they are the same if those are.)
 *
 * Lengths are in words that are one token each in the vocabularies of DeepSeek-V4 and of the bundled model, and in
 * most others; what the server counts is in its usage. */
#pragma once
#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"

struct load_range {
    int low, high; /* 0 <= low <= high */
};

struct load_plan {
    uint64_t seed;
    const char *model;
    int turns;  /* of a conversation, >= 1 */
    int prefix; /* words that all conversations begin with, as a system message; 0: none */
    struct load_range prompt, answer; /* words of a turn; most tokens of its answer */
    double rate;                      /* conversations a second, Poisson; only for load_plan_gap */
    double temperature;
    bool thinking;
    bool ends; /* answers may end before their length; else ignore_eos is asked for */
};

/* The messages with which conversation i begins; the caller owns it. load_plan_turn adds the user's words of a
 * turn. */
json_t *load_plan_begin(const struct load_plan *p);
void load_plan_turn(const struct load_plan *p, uint64_t i, int turn, json_t *messages);

/* The body of a request. NULL without memory; free with free(). */
char *load_plan_body(const struct load_plan *p, uint64_t i, int turn, json_t *messages);

/* Seconds between the arrivals of conversations i-1 and i: exponential with mean 1 / rate. */
double load_plan_gap(const struct load_plan *p, uint64_t i);
