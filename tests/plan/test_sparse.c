/* V4-Flash and V4-Pro at full size: every header of the real checkpoints, no data. */
#include "../format/files.h"

#include "base/json.h"
#include "format/checkpoint.h"
#include "format/survey.h"
#include "format/weights.h"
#include "model/model.h"
#include "plan/null.h"

struct counter {
    int all, mtp;
};

static int count(void *ctx, const struct official_tensor *t)
{
    struct counter *c = ctx;
    c->all++;
    c->mtp += !strncmp(t->name, "mtp.", 4);
    return 0;
}

static struct config load(const char *path)
{
    struct config c;
    struct err err = {0};
    json_t *root;
    assert_int_equal(json_parse_file(&root, path, 1 << 18, &err), 0);
    if (config_from_json(&c, path, root, &err)) fail_msg("%s", err.message);
    json_decref(root);
    return c;
}

static double gigabytes(double bytes)
{
    return bytes / 1e9;
}

struct published {
    const char *config;
    int tensors, mtp_tensors;
    /* GB of the spec, section 9 */
    double total, without_mtp, experts, attention, shared, embed, per_token, experts_per_token;
};

static void assert_near(double is, double spec, double off)
{
    if (!(is >= spec - off && is <= spec + off)) fail_msg("%g is not %g", is, spec);
}

static void check_sizes(const struct weights *w, const struct published *m)
{
    struct survey s;
    survey_weights(&s, w);
    double total = gigabytes((double)weights_tensor_bytes(w));
    assert_near(total, m->total, 0.011);
    assert_near(total - gigabytes((double)s.part_bytes[PART_MTP]), m->without_mtp, 0.051);
    assert_near(gigabytes((double)s.part_bytes[PART_EXPERTS]), m->experts, 0.051);
    assert_near(gigabytes((double)s.part_bytes[PART_ATTENTION]), m->attention, 0.006);
    assert_near(gigabytes((double)s.part_bytes[PART_SHARED]), m->shared, 0.006);
    assert_near(gigabytes((double)s.part_bytes[PART_EMBED]), m->embed, 0.006);
    assert_near(gigabytes((double)s.part_bytes[PART_HEAD]), m->embed, 0.006);
    assert_near(gigabytes(s.bytes_per_token), m->per_token, 0.051);
    assert_near(gigabytes(s.expert_bytes_per_token), m->experts_per_token, 0.011);
    assert_int_equal(s.part_bytes[PART_OTHER], 0);
    assert_int_equal(s.n_missing, 0);
}

static void check_binding(const struct weights *w)
{
    struct err err = {0};
    struct model *model;
    struct backend *b = null_open(MODE_DEFAULT);
    struct model_options options = {.mtp = true};
    if (model_open(&model, b, w, &options, &err)) fail_msg("%s", err.message);
    assert_true(model_has_mtp(model));
    model_close(model);
    b->close(b);
}

static void check_published(const struct published *m)
{
    struct place p;
    struct weights *w;
    struct err err = {0};
    struct counter n = {0};
    struct config c = load(m->config);
    char command[256];
    official_each(&c, (struct official_options){.mtp = true}, count, &n);
    assert_int_equal(n.all, m->tensors);
    assert_int_equal(n.mtp, m->mtp_tensors);

    place_make(&p);
    if (checkpoint_write(p.dir, &c, (struct official_options){.mtp = true}, NULL, NULL, &err))
        fail_msg("%s", err.message);
    snprintf(command, sizeof command, "cp %s '%s'/config.json", m->config, p.dir);
    assert_int_equal(system(command), 0);
    if (weights_open(&w, p.dir, &err)) fail_msg("%s", err.message);
    assert_true(weights_have_mtp(w));
    check_sizes(w, m);
    check_binding(w);
    weights_close(w);
    place_remove(&p);
}

static void flash_opens_and_binds_at_160_gb(void **state)
{
    (void)state;
    check_published(&(struct published){.config = "models/deepseek-v4-flash/config.json",
                                        .tensors = 69187,
                                        .mtp_tensors = 1575,
                                        .total = 159.61,
                                        .without_mtp = 156.0,
                                        .experts = 147.2,
                                        .attention = 5.40,
                                        .shared = 1.08,
                                        .embed = 1.06,
                                        .per_token = 11.2,
                                        .experts_per_token = 3.45});
}

static void pro_opens_and_binds_at_865_gb(void **state)
{
    (void)state;
    check_published(&(struct published){.config = "models/deepseek-v4-pro/config.json",
                                        .tensors = 145116,
                                        .mtp_tensors = 2343,
                                        .total = 864.71,
                                        .without_mtp = 850.7,
                                        .experts = 822.1,
                                        .attention = 20.27,
                                        .shared = 4.03,
                                        .embed = 1.85,
                                        .per_token = 39.7,
                                        .experts_per_token = 12.85});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flash_opens_and_binds_at_160_gb),
        cmocka_unit_test(pro_opens_and_binds_at_865_gb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
