#include "engine/history.h"

#include <stdlib.h>
#include <string.h>

struct history {
    struct engine *engine;
    struct session *live;  /* NULL before the first prompt and after a failure */
    struct session *fresh; /* what the running answer left as its snapshot */
    struct session *snapshots[HISTORY_SNAPSHOTS]; /* oldest first */
    int n;
};

struct history *history_new(struct engine *e)
{
    struct history *h = calloc(1, sizeof *h);
    if (h) h->engine = e;
    return h;
}

void history_free(struct history *h)
{
    if (!h) return;
    history_clear(h);
    free(h);
}

void history_clear(struct history *h)
{
    session_free(h->live);
    session_free(h->fresh);
    for (int i = 0; i < h->n; i++)
        session_free(h->snapshots[i]);
    *h = (struct history){.engine = h->engine};
}

/* Tokens that s saves for this prompt: all that it was fed, or none. The prompt's last token must be
 * fed anew, since its logits are wanted. */
static int usable(const struct session *s, const struct ids *prompt)
{
    int fed = s ? session_fed(s) : 0;
    if (fed >= (int)prompt->n) return 0;
    return session_common(s, prompt->data, fed) == fed ? fed : 0;
}

/* Frees the snapshots that have left this conversation (another system prompt, say): they would hold
 * pages that nothing shares. */
static void prune(struct history *h, const struct ids *prompt)
{
    int kept = 0;
    for (int i = 0; i < h->n; i++) {
        struct session *s = h->snapshots[i];
        int fed = session_fed(s), n = fed < (int)prompt->n ? fed : (int)prompt->n;
        if (session_common(s, prompt->data, n) == n)
            h->snapshots[kept++] = s;
        else
            session_free(s);
    }
    h->n = kept;
}

/* Makes live the longest usable state. */
static int choose(struct history *h, const struct ids *prompt, struct err *err)
{
    prune(h, prompt);
    const struct session *best = NULL;
    int longest = 0;
    for (int i = 0; i < h->n; i++) {
        int n = usable(h->snapshots[i], prompt);
        if (n <= longest) continue;
        best = h->snapshots[i];
        longest = n;
    }
    if (h->live && usable(h->live, prompt) > longest) return 0;
    session_free(h->live);
    h->live = NULL;
    if (!best) return engine_session_new(&h->live, h->engine, err);
    h->live = session_fork(best);
    return h->live ? 0 : err_set(err, ERR_LIMIT, "no memory for a session");
}

int history_begin(struct history *h, const struct ids *prompt, struct session **out,
                  struct err *err)
{
    *out = NULL;
    if (choose(h, prompt, err)) return -1;
    session_drop_pending(h->live);
    int fed = session_fed(h->live);
    if (session_append(h->live, prompt->data + fed, (int)prompt->n - fed, err)) return -1;
    *out = h->live;
    return 0;
}

struct session **history_snapshot(struct history *h)
{
    return &h->fresh;
}

void history_end(struct history *h)
{
    if (!h->fresh) return;
    if (h->n == HISTORY_SNAPSHOTS) {
        session_free(h->snapshots[0]);
        memmove(h->snapshots, h->snapshots + 1, sizeof h->snapshots - sizeof h->snapshots[0]);
        h->n--;
    }
    h->snapshots[h->n++] = h->fresh;
    h->fresh = NULL;
}

void history_fail(struct history *h)
{
    session_free(h->live);
    session_free(h->fresh);
    h->live = h->fresh = NULL;
}

void history_undo(struct history *h)
{
    history_fail(h);
    if (h->n) session_free(h->snapshots[--h->n]);
}
