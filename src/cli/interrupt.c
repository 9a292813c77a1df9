#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>

/* A signal handler has no argument to find its flag by. */
static atomic_bool *_Atomic watched;
static atomic_bool ends;

static void on_interrupt(int number)
{
    atomic_bool *flag = atomic_load(&watched);
    bool again = !flag || atomic_exchange(flag, true);
    if (again && atomic_load(&ends)) {
        signal(number, SIG_DFL);
        raise(number);
    }
}

void interrupt_watch(atomic_bool *flag, bool second_ends)
{
    atomic_store(flag, false);
    atomic_store(&ends, second_ends);
    atomic_store(&watched, flag);
    struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART: reads come back */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

void interrupt_forget(void)
{
    signal(SIGINT, SIG_DFL);
    atomic_store(&watched, NULL);
}
