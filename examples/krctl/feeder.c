/* SPDX-License-Identifier: MIT */
/*
 * The demo's side of `krctl player`: starts the process, and talks to it through a char device, one
 * frame a message (player.h has the list).
 */
#include "demo.h"
#include "krctl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_LIMIT KROUTINE_SEC(10)

extern char **environ;

/* Starts this very program as a player, with `fd` as its standard input. 0 or a positive errno. */
static int spawn_player(pid_t *pid, int fd, const char *input, unsigned baud)
{
    char self[4096], speed[16];
    const char *argv[] = {"krctl", "player", "--control", "--baud", speed, NULL, NULL, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;

    /* The link itself would do, but for programs that valgrind runs. */
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (len < 0)
        return errno;
    self[len] = '\0';
    snprintf(speed, sizeof(speed), "%u", baud);
    if (input != NULL) {
        argv[5] = "--input";
        argv[6] = input;
    }

    /* The demo blocks the signals that it reads; its child does not. */
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int err = posix_spawn(pid, self, &actions, &attributes, (char **)argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

/* The player's first message is the path of its terminal. */
static error_t wait_for_path(struct feeder_s *feeder)
{
    ptrdiff_t len = dev_char_timedwait_op(&feeder->control, DEV_CHAR_READ_FRAME, feeder->message,
                                          sizeof(feeder->message) - 1, START_LIMIT);

    if (len < 0)
        return (error_t)len;
    feeder->message[len] = '\0';
    return sscanf(feeder->message, "tty %127s", feeder->path) == 1 ? 0 : -EPROTO;
}

int feeder_open(struct demo_s *demo, const char *input, unsigned baud)
{
    struct feeder_s *feeder = &demo->feeder;
    char spec[32];
    int fd[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) != 0)
        return krctl_fail("cannot make a socket pair: %s", strerror(errno));
    int err = spawn_player(&feeder->pid, fd[1], input, baud);
    close(fd[1]);
    if (err != 0) {
        close(fd[0]);
        feeder->pid = 0;
        return krctl_fail("cannot start the player: %s", strerror(err));
    }

    snprintf(spec, sizeof(spec), "fd:%d", fd[0]);
    error_t error = device_get_accessor_by_path(
        &feeder->control.base, kroutine_runtime_devices(demo->runtime), spec, DRIVER_CLASS_CHAR);
    close(fd[0]); /* the device has a duplicate */
    if (error != 0)
        return krctl_fail("cannot talk to the player: %s", krctl_error(error));

    error = wait_for_path(feeder);
    if (error == -ENODATA || error == -ENODEV) /* it has said why */
        return KRCTL_FAILED;
    return error == 0 ? KRCTL_OK : krctl_fail("the player does not answer: %s", strerror(-error));
}

static KROUTINE_EXEC(feeder_message)
{
    struct dev_char_rq_s *rq = dev_char_rq_from_kr(kr);
    struct demo_s *demo = rq->pvdata;
    struct feeder_s *feeder = &demo->feeder;

    (void)flags;
    demo_count_request(demo, KROUTINE_QUEUE);
    demo->waiting--;
    *(char *)rq->data = '\0';
    feeder->reported =
        rq->error == 0 && sscanf(feeder->message, "sent %" SCNu64 " %" SCNu64 " %" SCNu64,
                                 &feeder->bytes, &feeder->good, &feeder->bad) == 3;
    feeder->died = !feeder->reported;
    demo_feeder_over(demo);
}

static error_t send_word(struct feeder_s *feeder, const char *word)
{
    /* Writes leave the data alone; reads share the type. */
    ptrdiff_t len = dev_char_timedwait_op(&feeder->control, DEV_CHAR_WRITE_FRAME, (char *)word,
                                          strlen(word), START_LIMIT);

    return len < 0 ? (error_t)len : 0;
}

error_t feeder_start(struct demo_s *demo)
{
    struct feeder_s *feeder = &demo->feeder;
    struct dev_char_rq_s *rq = &feeder->rq;
    error_t err = send_word(feeder, "go");

    if (err != 0)
        return err;
    dev_char_rq_init_queue(rq, feeder_message, &demo->queue);
    rq->pvdata = demo;
    rq->type = DEV_CHAR_READ_FRAME;
    rq->data = (uint8_t *)feeder->message;
    rq->size = sizeof(feeder->message) - 1;
    demo->waiting++;
    DEVICE_OP(&feeder->control, request, rq);
    return 0;
}

void feeder_stop(struct demo_s *demo)
{
    /* When it cannot be sent the player is dead, and the pending read says so. */
    send_word(&demo->feeder, "stop");
}

void feeder_close(struct demo_s *demo)
{
    struct feeder_s *feeder = &demo->feeder;

    device_put_accessor(&feeder->control.base);
    if (feeder->pid == 0)
        return;
    kill(feeder->pid, SIGTERM);
    while (waitpid(feeder->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
