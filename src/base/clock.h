/* Monotonic time in seconds, for speeds and progress; never for decisions that change results. */
#pragma once

double clock_seconds(void);
