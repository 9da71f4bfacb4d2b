/* SPDX-License-Identifier: MIT */
/*
 * A file that is being received: written asynchronously under a temporary name, and given its own
 * when it is complete.
 */
#ifndef FILE_H
#define FILE_H

#include <kroutine.h>

#define FILE_BUFFER  1024
#define FILE_BUFFERS 2 /* one is filled while the other is written */
#define FILE_NAME    256

struct file_s {
    struct device_char_s dev;
    struct dev_char_rq_s write[FILE_BUFFERS];
    uint8_t buffer[FILE_BUFFERS][FILE_BUFFER];
    unsigned pending; /* writes */
    unsigned next;    /* buffer */
    error_t error;    /* of the first write that failed */
    int dir;          /* where it is made */
    struct device_s *tree;
    int fd; /* -1: no file */
    bool overwrite;
    char name[FILE_NAME];
    char temporary[32];
    void (*written)(struct file_s *file); /* a write is over */
};

/* `dir`: a folder, open; `tree`: where the device of the file is made. */
void file_init(struct file_s *file, int dir, struct device_s *tree, bool overwrite,
               void (*written)(struct file_s *file));

/* Makes a name that stays in its folder, is not hidden and can be shown: the part behind the last
   slash, with every other byte that does harm replaced. False when nothing is left. */
bool file_safe_name(char safe[FILE_NAME], const char *sent);

/* -EEXIST: there is one and it may not be overwritten. Others as open(2). */
error_t file_begin(struct file_s *file, const char *name);

/* At most FILE_BUFFER bytes, which are copied; needs file_has_room. */
void file_write(struct file_s *file, const uint8_t *data, size_t size);
bool file_has_room(const struct file_s *file);
bool file_is_written(const struct file_s *file);

/* Everything is written: sets the time (0: leaves it) and the name. -EEXIST as file_begin. */
error_t file_finish(struct file_s *file, int64_t mtime);

/* Gives it up, if there is one. Writes that are pending are cancelled. */
void file_discard(struct file_s *file);

#endif
