/* SPDX-License-Identifier: MIT */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static KROUTINE_EXEC(write_done)
{
    struct dev_char_rq_s *rq = dev_char_rq_from_kr(kr);
    struct file_s *file = rq->pvdata;

    (void)flags;
    file->pending--;
    if (rq->error != 0 && file->error == 0)
        file->error = rq->error;
    if (rq->error != -ECANCELED)
        file->written(file);
}

void file_init(struct file_s *file, int dir, struct device_s *tree, bool overwrite,
               void (*written)(struct file_s *file))
{
    *file = (struct file_s){
        .dir = dir,
        .tree = tree,
        .overwrite = overwrite,
        .fd = -1,
        .written = written,
    };
    for (unsigned i = 0; i < FILE_BUFFERS; i++) {
        dev_char_rq_init(&file->write[i], write_done);
        file->write[i].type = DEV_CHAR_WRITE;
        file->write[i].pvdata = file;
    }
}

bool file_safe_name(char safe[FILE_NAME], const char *sent)
{
    const char *slash = strrchr(sent, '/'), *backslash = strrchr(sent, '\\');
    size_t size = 0;

    if (backslash > slash || !slash)
        slash = backslash;
    for (const char *c = slash ? slash + 1 : sent; *c && size < FILE_NAME - 1; c++) {
        bool bad = (unsigned char)*c < ' ' || *c == 0x7f || (size == 0 && *c == '.');

        safe[size++] = bad ? '_' : *c;
    }
    safe[size] = '\0';
    return size > 0 && strspn(safe, "_.") < size;
}

/* The device writes through a duplicate of our descriptor; ours sets the time at the end. */
static error_t open_device(struct file_s *file)
{
    char spec[24];

    snprintf(spec, sizeof(spec), "fd:%d", file->fd);
    return device_get_accessor_by_path(&file->dev.base, file->tree, spec, DRIVER_CLASS_CHAR);
}

error_t file_begin(struct file_s *file, const char *name)
{
    struct stat st;
    error_t err;

    snprintf(file->name, sizeof(file->name), "%s", name);
    snprintf(file->temporary, sizeof(file->temporary), ".ymodem-%ld.part", (long)getpid());
    file->error = 0;
    file->next = 0;
    if (!file->overwrite && fstatat(file->dir, file->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return -EEXIST;
    file->fd = openat(file->dir, file->temporary,
                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (file->fd < 0)
        return -errno;
    err = open_device(file);
    if (err != 0)
        file_discard(file);
    return err;
}

bool file_has_room(const struct file_s *file)
{
    return file->pending < FILE_BUFFERS;
}

bool file_is_written(const struct file_s *file)
{
    return file->pending == 0;
}

void file_write(struct file_s *file, const uint8_t *data, size_t size)
{
    struct dev_char_rq_s *rq = &file->write[file->next];

    if (size == 0)
        return;
    rq->data = memcpy(file->buffer[file->next], data, size);
    rq->size = size;
    file->next = (file->next + 1) % FILE_BUFFERS;
    file->pending++;
    DEVICE_OP(&file->dev, request, rq);
}

static void close_file(struct file_s *file)
{
    device_put_accessor(&file->dev.base);
    close(file->fd);
    file->fd = -1;
}

error_t file_finish(struct file_s *file, int64_t mtime)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = (time_t)mtime}};
    unsigned flags = file->overwrite ? 0 : RENAME_NOREPLACE;

    if (mtime != 0 && futimens(file->fd, times) != 0)
        return -errno;
    if (renameat2(file->dir, file->temporary, file->dir, file->name, flags) != 0)
        return -errno;
    close_file(file);
    return 0;
}

void file_discard(struct file_s *file)
{
    if (file->fd < 0)
        return;
    close_file(file);
    unlinkat(file->dir, file->temporary, 0);
}
