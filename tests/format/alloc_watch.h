/* Counts what a test's code asks of malloc: the largest single request and the most bytes alive at
 * once. For showing that hostile files cannot make a parser allocate more than their size allows.
 * Include it in one file of a program. */
#pragma once
#include <malloc.h>
#include <stddef.h>

static struct {
    int on;
    size_t live, peak, largest;
} alloc_watch;

static void alloc_count(size_t asked, size_t usable)
{
    if (!alloc_watch.on) return;
    if (asked > alloc_watch.largest) alloc_watch.largest = asked;
    alloc_watch.live += usable;
    if (alloc_watch.live > alloc_watch.peak) alloc_watch.peak = alloc_watch.live;
}

static void alloc_uncount(size_t usable)
{
    if (!alloc_watch.on) return;
    alloc_watch.live -= usable < alloc_watch.live ? usable : alloc_watch.live;
}

#ifdef TENON_SANITIZED

int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *p);

static void on_malloc(const volatile void *p, size_t size)
{
    (void)p;
    alloc_count(size, size);
}

static void on_free(const volatile void *p)
{
    if (p && alloc_watch.on) alloc_uncount(__sanitizer_get_allocated_size(p));
}

static void alloc_watch_install(void)
{
    static int done;
    if (!done) __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    done = 1;
}

#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t to, size_t size);
void __libc_free(void *p);

void *malloc(size_t size)
{
    void *p = __libc_malloc(size);
    if (p) alloc_count(size, malloc_usable_size(p));
    return p;
}

void *calloc(size_t n, size_t size)
{
    void *p = __libc_calloc(n, size);
    if (p) alloc_count(n * size, malloc_usable_size(p));
    return p;
}

void *aligned_alloc(size_t to, size_t size)
{
    void *p = __libc_memalign(to, size);
    if (p) alloc_count(size, malloc_usable_size(p));
    return p;
}

void *realloc(void *old, size_t size)
{
    size_t was = old ? malloc_usable_size(old) : 0;
    void *p = __libc_realloc(old, size);
    if (!p) return p;
    alloc_uncount(was);
    alloc_count(size, malloc_usable_size(p));
    return p;
}

void free(void *p)
{
    if (p) alloc_uncount(malloc_usable_size(p));
    __libc_free(p);
}

static void alloc_watch_install(void)
{
}

#endif

static void alloc_watch_start(void)
{
    alloc_watch_install();
    alloc_watch.live = alloc_watch.peak = alloc_watch.largest = 0;
    alloc_watch.on = 1;
}

/* Most bytes alive at once since the start. */
static size_t alloc_watch_stop(void)
{
    alloc_watch.on = 0;
    return alloc_watch.peak;
}
