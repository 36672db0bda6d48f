/* A mount that refuses calls, for a process that preloads this.
 *
 * REFUSE        CALL=ERRNO[@N], several with commas: CALL fails with ERRNO, the first N times not.
 * REFUSE_BELOW  only files and folders from this path on are meant.
 * REFUSE_LOG    a file that gets the name of each call that was refused, one on a line.
 *
 * Calls: create, open_write (a file that is there), open_folder, write, fsync_file, fsync_folder,
 * ftruncate, flock, rename, link, unlink. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum { CREATE, OPEN_WRITE, OPEN_FOLDER, WRITE, FSYNC_FILE, FSYNC_FOLDER, FTRUNCATE, FLOCK, RENAME, LINK, UNLINK, CALLS };
static const char *names[CALLS] = { "create", "open_write", "open_folder", "write", "fsync_file",
    "fsync_folder", "ftruncate", "flock", "rename", "link", "unlink" };
static int made[CALLS];

static int below(const char *path) {
    const char *root = getenv("REFUSE_BELOW");
    return root && path && strncmp(path, root, strlen(root)) == 0;
}

static int fd_below(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int folder(int fd) {
    struct stat found;
    return fstat(fd, &found) == 0 && S_ISDIR(found.st_mode);
}

/* Whether this call is to fail; errno says how. */
static int refused(int call) {
    const char *list = getenv("REFUSE"), *log = getenv("REFUSE_LOG");
    size_t length = strlen(names[call]);
    for (const char *at = list; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, names[call], length) != 0 || at[length] != '=') continue;
        char *end;
        int number = (int)strtol(at + length + 1, &end, 10);
        int first = *end == '@' ? atoi(end + 1) : 0;
        if (__atomic_fetch_add(&made[call], 1, __ATOMIC_SEQ_CST) < first) return 0;
        int fd = log ? (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;
        if (fd >= 0) {
            char line[64];
            int bytes = snprintf(line, sizeof line, "%s\n", names[call]);
            (void)!syscall(SYS_write, fd, line, bytes);
            syscall(SYS_close, fd);
        }
        errno = number;
        return 1;
    }
    return 0;
}

static int open_refused(const char *path, int flags) {
    struct stat found;
    if (!below(path)) return 0;
    if (stat(path, &found) == 0 && S_ISDIR(found.st_mode)) return refused(OPEN_FOLDER);
    if (flags & O_CREAT) return refused(CREATE);
    return (flags & O_ACCMODE) != O_RDONLY && refused(OPEN_WRITE);
}

static mode_t mode_of(int flags, va_list rest) { return flags & O_CREAT ? va_arg(rest, mode_t) : 0; }

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_refused(path, flags) ? -1 : REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_refused(path, flags) ? -1 : REAL(open64)(path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    return fd_below(fd) && refused(WRITE) ? -1 : REAL(write)(fd, bytes, length);
}

int fsync(int fd) {
    return fd_below(fd) && refused(folder(fd) ? FSYNC_FOLDER : FSYNC_FILE) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd) {
    return fd_below(fd) && refused(folder(fd) ? FSYNC_FOLDER : FSYNC_FILE) ? -1 : REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t length) {
    return fd_below(fd) && refused(FTRUNCATE) ? -1 : REAL(ftruncate)(fd, length);
}

int ftruncate64(int fd, off64_t length) {
    return fd_below(fd) && refused(FTRUNCATE) ? -1 : REAL(ftruncate64)(fd, length);
}

extern int flock(int fd, int operation);
int flock(int fd, int operation) {
    return fd_below(fd) && refused(FLOCK) ? -1 : REAL(flock)(fd, operation);
}

int rename(const char *from, const char *to) {
    return below(to) && refused(RENAME) ? -1 : REAL(rename)(from, to);
}

int link(const char *from, const char *to) {
    return below(to) && refused(LINK) ? -1 : REAL(link)(from, to);
}

int linkat(int a, const char *from, int b, const char *to, int flags) {
    return below(to) && refused(LINK) ? -1 : REAL(linkat)(a, from, b, to, flags);
}

int unlink(const char *path) {
    return below(path) && refused(UNLINK) ? -1 : REAL(unlink)(path);
}
