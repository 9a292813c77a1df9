#include "plan/roofline.h"

double roofline_op(const struct ledger_entry *e, const struct rates *r)
{
    double memory = (double)(e->weight_bytes + e->state_bytes) / r->read;
    double work = (double)e->int_ops / r->int_ops + (double)e->float_ops / r->float_ops;
    return memory > work ? memory : work;
}

double roofline_seconds(const struct ledger *l, const struct rates *r)
{
    double sum = 0;
    for (int i = 0; i < OP_COUNT; i++)
        sum += roofline_op(&l->op[i], r);
    return sum;
}
