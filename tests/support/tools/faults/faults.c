/* Lets one call of the C library fail, or ends the process before it: the N-th of those that are
 * about files below some folders, or that start a program. For LD_PRELOAD; see run.py. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { FDS = 4096, CALLS = 100000 };

static char folders[8][PATH_MAX];
static int count_of_folders;
static char watched[FDS];
static atomic_int armed, paused, calls;
static int at, kind;
static char last[PATH_MAX + 64];
static int log_fd = -1;

/* kind: an errno, or minus a signal. */
void faults_arm(int the_at, int the_kind, int the_log)
{
    at = the_at, kind = the_kind, log_fd = the_log;
    atomic_store(&calls, 0);
    memset(watched, 0, sizeof watched);
    last[0] = 0;
    atomic_store(&armed, 1);
}

void faults_disarm(void) { atomic_store(&armed, 0); }
void faults_pause(int pauses) { atomic_store(&paused, pauses); }
void faults_watch(const char *folder) { strcpy(folders[count_of_folders++], folder); }
int faults_calls(void) { return atomic_load(&calls); }
const char *faults_last(void) { return last; }

static int below(const char *path)
{
    for (int n = 0; path && n < count_of_folders; n++)
        if (!strncmp(path, folders[n], strlen(folders[n])))
            return 1;
    return 0;
}

static int watches(int fd) { return fd >= 0 && fd < FDS && watched[fd]; }
static int about(int dir, const char *path) { return path[0] == '/' ? below(path) : watches(dir); }

/* Says whether this call is to fail; errno is set then. */
static int fails(const char *name, const char *path)
{
    if (!atomic_load(&armed) || atomic_load(&paused))
        return 0;
    int number = atomic_fetch_add(&calls, 1) + 1;
    char line[PATH_MAX + 64];
    int size = snprintf(line, sizeof line, "%d %s %s\n", number, name, path ? path : "");
    if (log_fd >= 0)
        syscall(SYS_write, log_fd, line, size);
    if (number != at)
        return 0;
    memcpy(last, line, size);
    last[size - 1] = 0;
    if (kind < 0) {
        raise(-kind);
        return 0;
    }
    errno = kind;
    return 1;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) \
        real = (type (*)(__VA_ARGS__)) dlsym(RTLD_NEXT, name)

static int noted(int fd)
{
    if (fd >= 0 && fd < FDS)
        watched[fd] = 1;
    return fd;
}

#define OPEN(symbol) \
    int symbol(const char *path, int flags, ...) \
    { \
        REAL(int, #symbol, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (!below(path)) \
            return real(path, flags, mode); \
        return fails("open", path) ? -1 : noted(real(path, flags, mode)); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(symbol) \
    int symbol(int dir, const char *path, int flags, ...) \
    { \
        REAL(int, #symbol, int, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (!about(dir, path)) \
            return real(dir, path, flags, mode); \
        return fails("openat", path) ? -1 : noted(real(dir, path, flags, mode)); \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd)
{
    REAL(int, "close", int);
    if (fd >= 0 && fd < FDS)
        watched[fd] = 0;
    return real(fd);
}

#define ON_FILE(type, symbol, parameters, types, arguments) \
    type symbol parameters \
    { \
        REAL(type, #symbol, types); \
        return watches(fd) && fails(#symbol, "") ? (type) -1 : real arguments; \
    }
#define T(...) __VA_ARGS__
ON_FILE(ssize_t, read, (int fd, void *data, size_t size), T(int, void *, size_t), (fd, data, size))
ON_FILE(ssize_t, write, (int fd, const void *data, size_t size), T(int, const void *, size_t), (fd, data, size))
ON_FILE(ssize_t, pread, (int fd, void *data, size_t size, off_t place), T(int, void *, size_t, off_t), (fd, data, size, place))
ON_FILE(ssize_t, pread64, (int fd, void *data, size_t size, off64_t place), T(int, void *, size_t, off64_t), (fd, data, size, place))
ON_FILE(int, ftruncate, (int fd, off_t size), T(int, off_t), (fd, size))
ON_FILE(int, ftruncate64, (int fd, off64_t size), T(int, off64_t), (fd, size))
ON_FILE(int, fsync, (int fd), T(int), (fd))
ON_FILE(DIR *, fdopendir, (int fd), T(int), (fd))

ssize_t sendfile(int to, int from, off_t *place, size_t size)
{
    REAL(ssize_t, "sendfile", int, int, off_t *, size_t);
    return watches(to) && fails("sendfile", "") ? -1 : real(to, from, place, size);
}

ssize_t sendfile64(int to, int from, off64_t *place, size_t size)
{
    REAL(ssize_t, "sendfile64", int, int, off64_t *, size_t);
    return watches(to) && fails("sendfile", "") ? -1 : real(to, from, place, size);
}

void *mmap64(void *start, size_t size, int how, int flags, int fd, off64_t place)
{
    REAL(void *, "mmap64", void *, size_t, int, int, int, off64_t);
    return watches(fd) && fails("mmap", "") ? MAP_FAILED : real(start, size, how, flags, fd, place);
}

#define ON_PATH(type, symbol, parameters, types, arguments, failed) \
    type symbol parameters \
    { \
        REAL(type, #symbol, types); \
        return below(path) && fails(#symbol, path) ? failed : real arguments; \
    }
ON_PATH(int, mkdir, (const char *path, mode_t mode), T(const char *, mode_t), (path, mode), -1)
ON_PATH(int, rmdir, (const char *path), T(const char *), (path), -1)
ON_PATH(int, unlink, (const char *path), T(const char *), (path), -1)
ON_PATH(int, chmod, (const char *path, mode_t mode), T(const char *, mode_t), (path, mode), -1)
ON_PATH(DIR *, opendir, (const char *path), T(const char *), (path), NULL)

int rename(const char *from, const char *to)
{
    REAL(int, "rename", const char *, const char *);
    return (below(from) || below(to)) && fails("rename", to) ? -1 : real(from, to);
}

int link(const char *from, const char *to)
{
    REAL(int, "link", const char *, const char *);
    return below(to) && fails("link", to) ? -1 : real(from, to);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    REAL(int, "linkat", int, const char *, int, const char *, int);
    return about(to_dir, to) && fails("linkat", to) ? -1 : real(from_dir, from, to_dir, to, flags);
}

int unlinkat(int dir, const char *path, int flags)
{
    REAL(int, "unlinkat", int, const char *, int);
    return about(dir, path) && fails("unlinkat", path) ? -1 : real(dir, path, flags);
}

int execve(const char *path, char *const words[], char *const environ[])
{
    REAL(int, "execve", const char *, char *const[], char *const[]);
    return fails("execve", path) ? -1 : real(path, words, environ);
}
