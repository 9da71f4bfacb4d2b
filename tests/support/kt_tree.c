/* SPDX-License-Identifier: MIT */
#include "kt_tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void kt_tree_init(struct kt_tree_s *tree, const char *name)
{
    snprintf(tree->root, sizeof tree->root, "%s/%s%d", kt_folder(), name, (int)getpid());
}

void kt_tree_make(const struct kt_tree_s *tree, const char *path, const char *text)
{
    char whole[300];
    int fd;

    snprintf(whole, sizeof whole, "%s/%s", tree->root, path);
    for (char *slash = whole + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(whole, 0777);
        *slash = '/';
    }
    if (!text) {
        mkdir(whole, 0777);
        return;
    }
    fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

void kt_tree_link(const struct kt_tree_s *tree, const char *path, const char *target)
{
    char whole[300];

    kt_tree_make(tree, path, NULL);
    snprintf(whole, sizeof whole, "%s/%s", tree->root, path);
    rmdir(whole);
    ck_assert_int_eq(symlink(target, whole), 0);
}
