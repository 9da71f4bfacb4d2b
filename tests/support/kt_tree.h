/* SPDX-License-Identifier: MIT */
/* A tree of files that stands for sysfs in tests of what a driver reads there. */
#ifndef KT_TREE_H
#define KT_TREE_H

#include "kt.h"

struct kt_tree_s {
    char root[128];
};

/* A new tree, of this test case, with nothing in it yet; `name` tells it from others. */
void kt_tree_init(struct kt_tree_s *tree, const char *name);
/* Makes the folders of a path in it, and the file with this text; NULL: a folder only. */
void kt_tree_make(const struct kt_tree_s *tree, const char *path, const char *text);
/* Makes the folders of a path, and a symbolic link in its place. */
void kt_tree_link(const struct kt_tree_s *tree, const char *path, const char *target);

#endif
