/* Ctrl-C as a flag. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>

/* From here on Ctrl-C sets *flag, which is cleared first. A system call that waits comes back with
 * EINTR. With second_ends, a Ctrl-C that finds the flag set ends the program. One watcher at a
 * time. */
void interrupt_watch(atomic_bool *flag, bool second_ends);

/* Ctrl-C ends the program again. */
void interrupt_forget(void);
