/* SPDX-License-Identifier: MIT */
/* What the files and links of sysfs say: Documentation/filesystems/sysfs.rst, a value a file. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform.h"

int kr_platform_attribute(char *text, size_t size, const char *folder, const char *file)
{
    char path[PATH_MAX];
    ssize_t length;
    int fd;

    if (snprintf(path, sizeof(path), "%s/%s", folder, file) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    length = read(fd, text, size - 1);
    close(fd);
    if (length < 0)
        return -EIO;
    text[length] = 0;
    text[strcspn(text, "\n")] = 0;
    return (int)strlen(text);
}

void kr_platform_link_name(char *text, size_t size, const char *folder, const char *link)
{
    char path[PATH_MAX], target[PATH_MAX];
    const char *slash;
    ssize_t length = -1;

    text[0] = 0;
    if (snprintf(path, sizeof(path), "%s/%s", folder, link) < (int)sizeof(path))
        length = readlink(path, target, sizeof(target) - 1);
    if (length < 0)
        return;
    target[length] = 0;
    slash = strrchr(target, '/');
    snprintf(text, size, "%.*s", (int)size - 1, slash ? slash + 1 : target);
}
