/* SPDX-License-Identifier: MIT */
/*
 * Memory of a default runtime: a process that loads the library and makes one, against a process
 * that has as many threads, asleep, and nothing else. And the size of the library on disk,
 * stripped.
 *
 * usage: bench_memory libkroutine.so
 *
 * This program is not linked with the library, so that the empty process is really empty. What
 * counts is private memory, and the rings that io_uring maps into the process. The pages of the
 * library's code that were touched come on top, for the first process of a machine that uses it;
 * resident memory includes them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <kroutine/runtime.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

struct memory_s {
    double priv; /* KiB: Private_Clean, Private_Dirty */
    double ring; /* mapped rings, where the kernel does not count them as resident */
    double rss;
    unsigned threads; /* beside the main one */
};

static void *sleeper(void *arg)
{
    pause();
    return arg;
}

static void empty_process(unsigned threads)
{
    pthread_t thread;

    while (threads--)
        bench_require(pthread_create(&thread, NULL, sleeper, NULL) == 0, "pthread_create");
}

static void *symbol(void *library, const char *name)
{
    void *address = dlsym(library, name);

    bench_require(address != NULL, name);
    return address;
}

static void runtime_process(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    struct kroutine_runtime_s *(*make)(void);
    error_t (*ask)(struct kroutine_runtime_s *, struct kroutine_runtime_info_s *);
    struct kroutine_runtime_info_s info;

    bench_require(library != NULL, path);
    *(void **)&make = symbol(library, "kroutine_runtime_default");
    *(void **)&ask = symbol(library, "kroutine_runtime_info");
    bench_require(make() != NULL, "kroutine_runtime_default");
    bench_require(ask(NULL, &info) == 0, "kroutine_runtime_info");
    printf("  default runtime: %s, a reactor and %u workers\n", info.backend, info.pool_size);
}

/* --- /proc --- */

static FILE *open_proc(const char *name)
{
    char path[64];
    FILE *f;

    snprintf(path, sizeof(path), "/proc/self/%s", name);
    f = fopen(path, "r");
    bench_require(f != NULL, path);
    return f;
}

static struct memory_s measure(void)
{
    struct memory_s m = {0};
    char line[512];
    double kb, size = 0;
    unsigned n;
    bool ring = false;
    FILE *f = open_proc("smaps");

    while (fgets(line, sizeof(line), f)) {
        char *name = strchr(line, '/');

        if (strchr(line, '-') && strchr(line, '-') < strchr(line, ' ')) /* from-to rights … */
            ring = strstr(name ? line : strchr(line, ' '), "[io_uring]") != NULL;
        if (sscanf(line, "Size: %lf", &kb) == 1)
            size = kb;
        if (sscanf(line, "Private_Clean: %lf", &kb) == 1 ||
            sscanf(line, "Private_Dirty: %lf", &kb) == 1)
            m.priv += kb;
        if (sscanf(line, "Rss: %lf", &kb) == 1) {
            m.rss += kb;
            if (ring)
                m.ring += size - kb;
        }
    }
    fclose(f);
    f = open_proc("status");
    while (fgets(line, sizeof(line), f))
        if (sscanf(line, "Threads: %u", &n) == 1)
            m.threads = n - 1;
    fclose(f);
    return m;
}

/* In a process of its own: the library at `path`, or an empty one with so many threads. */
static struct memory_s in_child(const char *path, unsigned threads)
{
    struct memory_s m;
    int fd[2], status;
    pid_t pid;

    fflush(stdout);
    bench_require(pipe(fd) == 0, "pipe");
    pid = fork();
    bench_require(pid >= 0, "fork");
    if (pid == 0) {
        if (path)
            runtime_process(path);
        else
            empty_process(threads);
        usleep(300000); /* its threads go to sleep */
        m = measure();
        bench_require(write(fd[1], &m, sizeof(m)) == sizeof(m), "write");
        _exit(fflush(stdout));
    }
    bench_require(read(fd[0], &m, sizeof(m)) == sizeof(m), "read from the child");
    close(fd[0]);
    close(fd[1]);
    waitpid(pid, &status, 0);
    return m;
}

static void size_on_disk(const char *path)
{
    char stripped[] = "/tmp/bench_memory.XXXXXX", command[512];
    int fd = mkstemp(stripped), r;
    struct stat st;

    bench_require(fd >= 0, "mkstemp");
    snprintf(command, sizeof(command), "strip -o %s '%s'", stripped, path);
    r = system(command);
    bench_require(stat(stripped, &st) == 0, stripped);
    unlink(stripped);
    close(fd);
    if (r) {
        puts("  strip is not installed: size not measured");
        return;
    }
    bench_result("library-size-stripped", (double)st.st_size / 1024, "KiB", 200);
}

static void print(const char *what, const struct memory_s *m)
{
    printf("  %-30s private %6.0f  unaccounted rings %4.0f  resident %6.0f  KiB\n", what, m->priv,
           m->ring, m->rss);
}

int main(int argc, char **argv)
{
    struct memory_s with, without;

    if (argc < 2) {
        fprintf(stderr, "usage: %s libkroutine.so\n", argv[0]);
        return 2;
    }
    with = in_child(argv[1], 0);
    without = in_child(NULL, with.threads);
    bench_require(with.threads == without.threads, "two processes with as many threads");
    print("with a default runtime", &with);
    print("empty, as many threads", &without);
    bench_result("runtime-memory", with.priv + with.ring - without.priv - without.ring, "KiB", 256);
    bench_info("runtime-memory-resident", with.rss - without.rss, "KiB");
    size_on_disk(argv[1]);
    return 0;
}
