/* SPDX-License-Identifier: MIT */
/* main() of the Check programs: arguments, the backend's availability, TAP, skips. */
#include "kt.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MAX_CASES 512
#define MAX_SKIPS 256
#define EXIT_SKIP 77

enum kroutine_backend_e kt_backend = KROUTINE_BACKEND_AUTO;

struct skip_s {
    char function[80];
    int round;
    char reason[200];
};

/* Written by the cases, which are processes of their own. */
static struct shared_s {
    const char *name; /* of the case that runs, and its round */
    int round;
    unsigned count;
    struct skip_s skip[MAX_SKIPS];
} * shared;

static struct case_s {
    const TTest *test;
    int rounds;
    const char *(*label)(int round);
    int seen; /* results met so far */
} cases[MAX_CASES];
static unsigned case_count;

static const char *const backends[] = {
    [KROUTINE_BACKEND_AUTO] = "auto",
    [KROUTINE_BACKEND_URING] = "uring",
    [KROUTINE_BACKEND_EPOLL] = "epoll",
    [KROUTINE_BACKEND_SIM] = "sim",
};

const char *kt_backend_name(enum kroutine_backend_e backend)
{
    return backends[backend];
}

/* In the process of the case, before it. */
static void round_begin(void)
{
    const char *name = tcase_name();

    shared->round = shared->name == name ? shared->round + 1 : 0;
    shared->name = name;
}

void kt_add_loop(Suite *s, const TTest *t, int rounds, const char *(*label)(int round),
                 double limit)
{
    TCase *tc = tcase_create(t->name);

    if (case_count == MAX_CASES) {
        fprintf(stderr, "more than %d cases\n", MAX_CASES);
        exit(EXIT_FAILURE);
    }
    cases[case_count++] = (struct case_s){t, rounds, label, 0};
    tcase_add_checked_fixture(tc, round_begin, NULL);
    tcase_set_timeout(tc, limit);
    tcase_add_loop_test(tc, t, 0, rounds);
    suite_add_tcase(s, tc);
}

void kt_add(Suite *s, const TTest *t, double limit)
{
    kt_add_loop(s, t, 1, NULL, limit);
}

void kt_skip_record(const char *function, int round, const char *format, ...)
{
    unsigned n = __atomic_fetch_add(&shared->count, 1, __ATOMIC_SEQ_CST);
    va_list ap;

    ck_assert_uint_lt(n, MAX_SKIPS);
    snprintf(shared->skip[n].function, sizeof shared->skip[n].function, "%s", function);
    shared->skip[n].round = round;
    va_start(ap, format);
    vsnprintf(shared->skip[n].reason, sizeof shared->skip[n].reason, format, ap);
    va_end(ap);
}

void kt_skip_here(const char *why)
{
    char function[80];

    snprintf(function, sizeof function, "%s_fn", shared->name);
    kt_skip_record(function, shared->round, "%s", why);
    exit(EXIT_SUCCESS); /* the case, which has passed */
}

static char skip_all[200]; /* why; empty: not skipped */

void kt_skip_all(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(skip_all, sizeof skip_all, format, ap);
    va_end(ap);
}

/* The function of START_TEST(x) is called x_fn. */
static const char *skip_reason(const char *test, int round)
{
    size_t n = strlen(test);

    for (unsigned i = 0; i < shared->count; i++)
        if (!strncmp(shared->skip[i].function, test, n) && shared->skip[i].round == round &&
            !strcmp(shared->skip[i].function + n, "_fn"))
            return shared->skip[i].reason;
    return NULL;
}

/* Would the kernel give an io_uring? Asked without the library, which is what is tested. */
static int uring_errno(void)
{
    char params[256] = {0};
    int fd = (int)syscall(425 /* io_uring_setup */, 4, params);

    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

/* In a process of its own: main() must stay without threads, as it forks the cases. */
static int backend_create_error(void)
{
    pid_t pid;
    int status;

    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        struct kroutine_runtime_config_s config;
        struct kroutine_runtime_s *rt;
        error_t err;

        kroutine_runtime_config_init(&config);
        config.backend = kt_backend;
        err = kroutine_runtime_create(&rt, &config);
        if (err)
            fprintf(stderr, "%s: %s\n", backends[kt_backend], kroutine_error_text());
        _exit(-err);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return EIO;
    return WEXITSTATUS(status);
}

/* 0: there. EXIT_SKIP: the machine does not have it. Else the library is at fault. */
static int backend_check(char *why, size_t size)
{
    int kernel = kt_backend == KROUTINE_BACKEND_URING ? uring_errno() : 0;
    int err;

    if (kernel == ENOSYS || kernel == EPERM || kernel == ENOMEM) {
        snprintf(why, size, "io_uring is missing here: io_uring_setup: %s", strerror(kernel));
        return EXIT_SKIP;
    }
    err = backend_create_error();
    if (!err)
        return 0;
    snprintf(why, size, "backend %s does not work: %s", backends[kt_backend], strerror(err));
    return EXIT_FAILURE;
}

static struct case_s *case_find(const char *name)
{
    for (unsigned i = 0; i < case_count; i++)
        if (!strcmp(cases[i].test->name, name))
            return &cases[i];
    fprintf(stderr, "result of an unknown case %s\n", name);
    exit(EXIT_FAILURE);
}

static void print_result(TestResult *tr, unsigned number, bool tap, unsigned *skipped)
{
    struct case_s *c = case_find(tr_tcname(tr));
    int round = c->seen++;
    const char *skip = skip_reason(c->test->name, round);
    bool passed = tr_rtype(tr) == CK_PASS;
    char name[160];

    if (c->label)
        snprintf(name, sizeof name, "%s[%s]", c->test->name, c->label(round));
    else
        snprintf(name, sizeof name, "%s", c->test->name);
    if (passed && skip)
        ++*skipped;
    if (tap)
        printf("%sok %u - %s%s%s\n", passed ? "" : "not ", number, name,
               passed && skip ? " # SKIP " : "", passed && skip ? skip : "");
    else if (passed && skip)
        printf("SKIP %s: %s\n", name, skip);
    if (!passed)
        printf("%s%s at %s:%d: %s\n", tap ? "# " : "FAIL ", name, tr_lfile(tr), tr_lno(tr),
               tr_msg(tr));
}

/* --- a folder for the files of this program --- */

static char folder[] = "/tmp/kt-XXXXXX";

const char *kt_folder(void)
{
    return folder;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static int program_skipped(bool tap, const char *why)
{
    printf("%s%s\n", tap ? "1..0 # SKIP " : "SKIP: ", why);
    return tap ? EXIT_SUCCESS : EXIT_SKIP;
}

static int run(bool tap)
{
    SRunner *sr = srunner_create(kt_suite());
    TestResult **results;
    unsigned skipped = 0;
    int count, failed;

    if (*skip_all) {
        srunner_free(sr);
        return program_skipped(tap, skip_all);
    }
    srunner_run_all(sr, CK_SILENT);
    count = srunner_ntests_run(sr);
    failed = srunner_ntests_failed(sr);
    results = srunner_results(sr);
    if (tap)
        printf("1..%d\n", count);
    for (int i = 0; i < count; i++)
        print_result(results[i], (unsigned)i + 1, tap, &skipped);
    if (!tap)
        printf("%d cases, %d failed, %u skipped\n", count, failed, skipped);
    free(results);
    srunner_free(sr);
    if (failed || count == 0)
        return EXIT_FAILURE;
    return !tap && skipped == (unsigned)count ? EXIT_SKIP : EXIT_SUCCESS;
}

static bool backend_parse(const char *name)
{
    for (unsigned i = 0; i < sizeof backends / sizeof *backends; i++)
        if (!strcmp(name, backends[i])) {
            kt_backend = (enum kroutine_backend_e)i;
            return true;
        }
    fprintf(stderr, "no backend is called %s: uring, epoll or sim\n", name);
    return false;
}

int main(int argc, char **argv)
{
    const char *env_tap = getenv("KR_TEST_TAP"), *env_backend = getenv("KR_TEST_BACKEND");
    bool tap = env_tap && strcmp(env_tap, "0");
    char why[200];
    int err = 0;

    if (env_backend && *env_backend && !backend_parse(env_backend))
        return EXIT_FAILURE;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--tap"))
            tap = true;
        else if (!backend_parse(argv[i]))
            return EXIT_FAILURE;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return EXIT_FAILURE;
    if (kt_backend != KROUTINE_BACKEND_AUTO)
        err = backend_check(why, sizeof why);
    if (err == EXIT_SKIP)
        return program_skipped(tap, why);
    if (err) {
        printf("%s%s\n", tap ? "1..1\nnot ok 1 - " : "FAIL: ", why);
        return EXIT_FAILURE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!mkdtemp(folder)) {
        printf("%s/tmp: %s\n", tap ? "1..1\nnot ok 1 - " : "FAIL: ", strerror(errno));
        return EXIT_FAILURE;
    }
    err = run(tap);
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return err;
}
