/* A wall clock that a test sets, preloaded into the product's processes.

   The file that STEPPED_CLOCK names holds two numbers of nanoseconds, read anew each time that
   somebody asks for the time: how far the clock is ahead, and where it stands (0: it goes).
   Spans and sleeps are measured as on any computer whose clock is set: they take no notice. */

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

static const volatile int64_t *set;

__attribute__((constructor)) static void look(void)
{
    const char *name = getenv("STEPPED_CLOCK");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *found = mmap(NULL, 2 * sizeof *set, PROT_READ, MAP_SHARED, file, 0);

    if (found == MAP_FAILED)
        abort();
    close(file);
    set = found;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int failed = syscall(SYS_clock_gettime, clock, time);

    if (failed || !set || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return failed;
    int64_t ahead = set[0], stands = set[1];
    int64_t now = stands ? stands : time->tv_sec * SECOND + time->tv_nsec + ahead;
    time->tv_sec = now / SECOND;
    time->tv_nsec = now % SECOND;
    return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    struct timespec now;
    (void)zone;

    if (clock_gettime(CLOCK_REALTIME, &now))
        return -1;
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *kept)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (kept)
        *kept = now.tv_sec;
    return now.tv_sec;
}
