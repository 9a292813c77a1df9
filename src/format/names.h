/* Tensor names: official, transformers and GGUF spellings.
 * Source: the V4 spec, section 8. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { NAME_MAX_SIZE = 256 };

enum name_kind {
    NAME_PLAIN, /* one tensor */
    NAME_EXPERTS, /* [E, rows, cols]: one tensor per expert; official holds %d in the expert's place */
    NAME_GATE_UP, /* [E, 2 I, cols]: w1 in the upper half of the rows, w3 in the lower */
    NAME_EH_PROJ, /* [rows, 2 D]: e_proj in the left half of the columns, h_proj in the right */
    NAME_IGNORED, /* a copy of another tensor, or not for text */
};

struct name {
    enum name_kind kind;
    bool scale;                   /* block scales of the tensor called `official` */
    char official[NAME_MAX_SIZE]; /* NAME_GATE_UP: of w1; NAME_EH_PROJ: of e_proj */
};

/* Names that no table knows are kept as they are. False when the name is too long. */
bool name_from_safetensors(struct name *out, const char *stored);

/* Blocks from n_layers on are MTP blocks. */
bool name_from_gguf(struct name *out, const char *stored, int n_layers);

/* The GGUF name of an official one; experts give the stacked tensor. MTP blocks follow the layers:
 * "mtp.0.enorm.weight" is "blk.N.nextn.enorm.weight". False when the table has none. */
bool name_to_gguf(char out[NAME_MAX_SIZE], const char *official, int n_layers);

/* official with the expert's number in the place of %d. */
void name_of_expert(char out[NAME_MAX_SIZE], const char *official, int expert);
