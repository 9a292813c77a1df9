#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>

#include <cmocka.h>

#include "base/queue.h"

enum { N_THREADS = 4, N_EACH = 2000 };

struct mail {
    struct queue_item item;
    int from, number;
};

struct sender {
    struct queue *queue;
    int from;
    struct mail mail[N_EACH];
};

static void *send_all(void *ctx)
{
    struct sender *s = ctx;
    for (int i = 0; i < N_EACH; i++) {
        s->mail[i].from = s->from;
        s->mail[i].number = i;
        queue_put(s->queue, &s->mail[i].item);
    }
    return NULL;
}

static void everything_arrives_in_each_senders_order(void **state)
{
    static struct sender senders[N_THREADS];
    (void)state;
    struct queue *q = queue_new(NULL, NULL);
    pthread_t threads[N_THREADS];
    int next[N_THREADS] = {0}, left = N_THREADS * N_EACH;
    for (int i = 0; i < N_THREADS; i++) {
        senders[i].queue = q;
        senders[i].from = i;
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    while (left) {
        struct queue_item *i = queue_wait(q);
        assert_non_null(i);
        for (; i; i = i->next, left--) {
            struct mail *m = (struct mail *)i; /* the item is first */
            assert_int_equal(m->number, next[m->from]++);
        }
    }
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_null(queue_take(q));
    queue_free(q);
}

static void count_wake(void *ctx)
{
    ++*(int *)ctx;
}

static void only_the_first_of_several_wakes(void **state)
{
    (void)state;
    int woken = 0;
    struct queue *q = queue_new(count_wake, &woken);
    struct mail mail[3];
    for (int i = 0; i < 3; i++)
        queue_put(q, &mail[i].item);
    assert_int_equal(woken, 1);
    struct queue_item *all = queue_take(q);
    assert_ptr_equal(all, &mail[0].item);
    assert_ptr_equal(all->next->next, &mail[2].item);
    assert_null(all->next->next->next);
    queue_put(q, &mail[0].item);
    assert_int_equal(woken, 2);
    queue_free(q);
}

static void a_closed_queue_gives_what_it_has_and_then_nothing(void **state)
{
    (void)state;
    struct queue *q = queue_new(NULL, NULL);
    struct mail mail;
    queue_put(q, &mail.item);
    queue_close(q);
    assert_ptr_equal(queue_wait(q), &mail.item);
    assert_null(queue_wait(q));
    queue_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_arrives_in_each_senders_order),
        cmocka_unit_test(only_the_first_of_several_wakes),
        cmocka_unit_test(a_closed_queue_gives_what_it_has_and_then_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
