/* Do drafts pay? A controller of speculative decoding.
 *
 * MTP drafts the token after the next one, and the main pass checks it in one more row (engine/round.h).
 * A step with drafts takes longer and gives more tokens. How much longer depends on model, machine and
 * the number of answers in the step; how many more, on what is being written. So both are measured: the
 * median of the seconds per answer of the last 15 steps with and without drafts, by number of answers
 * (powers of two), and the share of drafts that were right. Drafts are made while
 *
 *     seconds with < seconds without * (1 + drafts per answer * share that is right).
 *
 * At first both kinds alternate; later one step in 64 is of the kind that does not pay, to see whether
 * that still holds. The clock decides about speed only: no text depends on a draft.
 *
 * One controller serves all answers of a model on one machine. One thread uses it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum speculate_mode {
    SPECULATE_OFF,
    SPECULATE_AUTO, /* while it pays */
    SPECULATE_ON    /* always */
};

/* Steps of each kind at the beginning, and from one try of the kind that does not pay to the next. */
enum { SPECULATE_TRIAL = 8, SPECULATE_PROBE = 64 };

struct speculate;

struct speculate *speculate_new(enum speculate_mode mode); /* not OFF; NULL when memory is out */
void speculate_free(struct speculate *s);                  /* takes NULL */

/* Shall a step that draws for n >= 1 answers draft? timed: speculate_note_step will tell of it. Other steps
 * follow what is known, and try nothing. */
bool speculate_wants(const struct speculate *s, int n, bool timed);

/* What a step for n answers took, MTP's run included: n_drafts of them had a draft; drafted tells whether
 * MTP ran. Only for steps that feed nothing but tokens drawn and their drafts, so not prompts. */
void speculate_note_step(struct speculate *s, int n, bool drafted, int n_drafts, double seconds);

/* n drafts were checked, n_right of them were right. */
void speculate_note_drafts(struct speculate *s, int n, int n_right);
