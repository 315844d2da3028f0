/* Disturbs one operation on files below a folder: an error, a short transfer, or a signal.

   Loaded with LD_PRELOAD. Variables: DISTURB_ROOT (the folder), DISTURB_COUNTERS (a file of
   FAMILIES numbers, shared by all processes: operations so far), DISTURB_LOG (a file: what was
   disturbed), DISTURB_FAMILY (see below; 0 is any), DISTURB_AT (which operation, from 0),
   DISTURB_ERROR (an errno), DISTURB_SHORT (1: half a transfer), DISTURB_SIGNAL with DISTURB_WHOM
   (a process number, 0 for the group, -1 for the process itself), DISTURB_STICKY (1: every later
   operation too). Without DISTURB_AT operations are only counted. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { ANY, CREATE, OPEN, READ, WRITE, SYNC, RENAME, LINK, UNLINK, MKDIR, TRUNCATE, FAMILIES };

static const char *root;
static size_t root_length;
static unsigned long long *counters;
static long at, error_number, is_short, signal_number, whom, is_sticky, family_wanted;

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text && *text ? atol(text) : otherwise;
}

__attribute__((constructor, visibility("default"))) void disturb_arm(void) {
    const char *file = getenv("DISTURB_COUNTERS");
    root = getenv("DISTURB_ROOT");
    counters = NULL;
    if (!root || !file) return;
    root_length = strlen(root);
    at = number("DISTURB_AT", -1);
    error_number = number("DISTURB_ERROR", 0);
    is_short = number("DISTURB_SHORT", 0);
    signal_number = number("DISTURB_SIGNAL", 0);
    whom = number("DISTURB_WHOM", -1);
    is_sticky = number("DISTURB_STICKY", 0);
    family_wanted = number("DISTURB_FAMILY", ANY);
    int handle = syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC, 0);
    if (handle < 0) return;
    void *shared = mmap(NULL, FAMILIES * 8, PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
    syscall(SYS_close, handle);
    if (shared != MAP_FAILED) counters = shared;
}

static void write_log(int family, const char *path) {
    const char *file = getenv("DISTURB_LOG");
    char line[5000];
    int handle = file ? syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_APPEND | O_CREAT, 0600) : -1;
    if (handle < 0) return;
    int length = snprintf(line, sizeof line, "%d pid %d %s\n", family, (int)getpid(), path);
    syscall(SYS_write, handle, line, length);
    syscall(SYS_close, handle);
}

/* 0: go on. 1: fail with errno set. 2: transfer half. */
static int disturbed(int family, const char *path) {
    char full[4096];
    if (!counters || !path) return 0;
    if (path[0] != '/') {
        if (!getcwd(full, 2048)) return 0;
        strcat(full, "/");
        strncat(full, path, 2000);
        path = full;
    }
    if (strncmp(path, root, root_length) != 0) return 0;
    unsigned long long any = __atomic_fetch_add(&counters[ANY], 1, __ATOMIC_SEQ_CST);
    unsigned long long same = __atomic_fetch_add(&counters[family], 1, __ATOMIC_SEQ_CST);
    if (at < 0 || (family_wanted != ANY && family != family_wanted)) return 0;
    unsigned long long now = family_wanted == ANY ? any : same;
    if (is_sticky ? now < (unsigned long long)at : now != (unsigned long long)at) return 0;
    write_log(family, path);
    if (signal_number) {
        kill(whom < 0 ? getpid() : whom, signal_number);
        return 0;
    }
    if (is_short) return 2;
    errno = error_number;
    return 1;
}

static int disturbed_handle(int family, int handle) {
    char link[64], path[4096];
    if (!counters) return 0;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length <= 0 || path[0] != '/') return 0; /* a pipe or a socket */
    path[length] = 0;
    return disturbed(family, path);
}

#define REAL(result, name, ...)                                    \
    static result (*real)(__VA_ARGS__);                            \
    if (!real) real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

#define OPENER(name)                                               \
    int name(const char *path, int flags, ...) {                   \
        REAL(int, name, const char *, int, ...);                   \
        va_list rest;                                              \
        va_start(rest, flags);                                     \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                              \
        if (disturbed(flags & O_CREAT ? CREATE : OPEN, path) == 1) return -1; \
        return real(path, flags, mode);                            \
    }
OPENER(open)
OPENER(open64)

#define TRANSFER(name, family, type, declared, given)              \
    ssize_t name(int handle, type buffer, size_t size declared) {  \
        REAL(ssize_t, name, int, type, size_t declared);           \
        int how = disturbed_handle(family, handle);                \
        if (how == 1) return -1;                                   \
        if (how == 2 && size > 1) size /= 2;                       \
        return real(handle, buffer, size given);                   \
    }
#define COMMA ,
TRANSFER(read, READ, void *, , )
TRANSFER(pread, READ, void *, COMMA off_t offset, COMMA offset)
TRANSFER(pread64, READ, void *, COMMA off64_t offset, COMMA offset)
TRANSFER(write, WRITE, const void *, , )
TRANSFER(pwrite, WRITE, const void *, COMMA off_t offset, COMMA offset)
TRANSFER(pwrite64, WRITE, const void *, COMMA off64_t offset, COMMA offset)

#define ON_HANDLE(name, family, declared, given)                   \
    int name(int handle declared) {                                \
        REAL(int, name, int declared);                             \
        return disturbed_handle(family, handle) == 1 ? -1 : real(handle given); \
    }
ON_HANDLE(fsync, SYNC, , )
ON_HANDLE(fdatasync, SYNC, , )
ON_HANDLE(ftruncate, TRUNCATE, COMMA off_t size, COMMA size)
ON_HANDLE(ftruncate64, TRUNCATE, COMMA off64_t size, COMMA size)

#define ON_PATH(name, family, declared, given)                     \
    int name(const char *path declared) {                          \
        REAL(int, name, const char * declared);                    \
        return disturbed(family, path) == 1 ? -1 : real(path given); \
    }
ON_PATH(rename, RENAME, COMMA const char *to, COMMA to)
ON_PATH(unlink, UNLINK, , )
ON_PATH(rmdir, UNLINK, , )
ON_PATH(mkdir, MKDIR, COMMA mode_t mode, COMMA mode)

int link(const char *from, const char *to) {
    REAL(int, link, const char *, const char *);
    return disturbed(LINK, to) == 1 ? -1 : real(from, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    return disturbed(LINK, to) == 1 ? -1 : real(from_folder, from, to_folder, to, flags);
}

int symlink(const char *to, const char *path) {
    REAL(int, symlink, const char *, const char *);
    return disturbed(LINK, path) == 1 ? -1 : real(to, path);
}
