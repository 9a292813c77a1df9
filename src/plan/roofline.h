/* The least time that work can take on a machine: its roofline.
 * Source: Williams, Waterman, Patterson, CACM 52 (2009) 65. */
#pragma once
#include "plan/null.h"

/* What a machine does at most, per second. */
struct rates {
    double read;      /* bytes from memory */
    double int_ops;   /* int8 multiplies and adds */
    double float_ops; /* f32 multiplies and adds */
};

/* Seconds of an op: the larger of its bytes over the bandwidth and its operations over their peaks. */
double roofline_op(const struct ledger_entry *e, const struct rates *r);

/* All ops one after the other. The calls of one op count together: what would be bound by memory in one
 * layer and by arithmetic in another comes out a little too fast, so the limit is never too kind. */
double roofline_seconds(const struct ledger *l, const struct rates *r);
