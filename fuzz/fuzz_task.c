/* Problems from JSON Lines and TSV, and the judge: what comes in must hold what the header says, and an
 * answer must be right for itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "measure/judge.h"
#include "measure/task.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_judge(const struct problem *p)
{
    struct buf given;
    buf_init(&given, 1 << 20);
    size_t size = strlen(p->answer);
    judge_given(p->answer, size, p->answer, &given);
    CHECK(judge_answer(p->answer, size, p->answer) || given.size == 0, "wrong for itself: %s",
          p->answer);
    buf_clear(&given);
    judge_given(p->question, strlen(p->question), p->answer, &given);
    CHECK(utf8_valid(buf_text(&given), given.size), "half a character");
    bool right = judge_answer(p->question, strlen(p->question), p->answer);
    CHECK(!right || given.size, "right without an answer");
    buf_fini(&given);
}

static void check_task(const char *name, const char *text, size_t size)
{
    struct task t = {0};
    struct err err = {0};
    int rc = task_add_text(&t, name, text, size, &err);
    CHECK((rc == 0) == (err.code == ERR_NONE), "no message");
    CHECK(rc == 0 || strstr(err.message, ": line "), "no line: %s", err.message);
    for (int i = 0; i < t.n; i++) {
        const struct problem *p = &t.at[i];
        CHECK(p->question[0] && p->answer[0] && p->others, "an empty field");
        CHECK(strlen(p->id) <= TASK_MAX_LABEL && strlen(p->lang) <= TASK_MAX_LABEL &&
                  strlen(p->kind) <= TASK_MAX_LABEL,
              "a long label");
        CHECK(utf8_valid(p->question, strlen(p->question)), "not UTF-8");
        check_judge(p);
    }
    task_fini(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_task("fuzz.jsonl", (const char *)data, size);
    check_task("fuzz_de.tsv", (const char *)data, size);
    return 0;
}
