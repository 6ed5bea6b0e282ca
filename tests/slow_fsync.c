/* Makes fsync and fdatasync slow: preloaded into a store to see what a kill during a slow sync loses. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

static void wait_400_ms(void) {
    struct timespec left = {0, 400 * 1000 * 1000};
    while (nanosleep(&left, &left) != 0) { }
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_400_ms();
    return real(file);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_400_ms();
    return real(file);
}
