/* The fields of struct config, once for all spellings. For format/ and the converter only. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "format/config.h"

enum config_kind { CONFIG_INT, CONFIG_FLOAT, CONFIG_DOUBLE };

struct config_field {
    const char *hf;       /* key in config.json; also the key of the canonical form */
    const char *official; /* key in inference/config.json, NULL when it has none */
    const char *gguf;     /* key in GGUF after "deepseek4.", NULL when it has none */
    enum config_kind kind;
    bool required;
    size_t offset; /* in struct config */
    double absent; /* value of an absent field that is not required */
    double min, max;
};

/* Ends with hf == NULL. In order of hf. */
extern const struct config_field config_fields[];

void config_field_set(const struct config_field *f, struct config *c, double v);
double config_field_get(const struct config_field *f, const struct config *c);

/* Stores v when it is in the field's range (and a whole number for CONFIG_INT). */
MUST_USE int config_field_take(const struct config_field *f, struct config *c, double v,
                               const char *what, const char *key, struct err *err);
