/* SPDX-License-Identifier: MIT */
/* Names of code addresses: the dynamic symbols, then .symtab of the file, which has the static
   functions too. Only for reports: nothing is kept. */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform.h"

struct image_s {
    const unsigned char *data;
    size_t size;
};

static const void *image_at(const struct image_s *image, uint64_t offset, uint64_t size)
{
    if (offset > image->size || size > image->size - offset)
        return NULL;
    return image->data + offset;
}

static const char *search(const struct image_s *image, const ElfW(Shdr) * symtab,
                          const ElfW(Shdr) * strtab, uintptr_t address)
{
    const ElfW(Sym) *sym = image_at(image, symtab->sh_offset, symtab->sh_size);
    const char *names = image_at(image, strtab->sh_offset, strtab->sh_size);
    size_t count = symtab->sh_size / sizeof(*sym);

    if (!sym || !names || !strtab->sh_size || names[strtab->sh_size - 1])
        return NULL;
    for (size_t i = 0; i < count; i++, sym++) {
        if (ELF64_ST_TYPE(sym->st_info) != STT_FUNC || sym->st_name >= strtab->sh_size)
            continue;
        if (address >= sym->st_value && address - sym->st_value < sym->st_size)
            return names + sym->st_name;
    }
    return NULL;
}

static const char *find(const struct image_s *image, uintptr_t address)
{
    const ElfW(Ehdr) *header = image_at(image, 0, sizeof(*header));

    if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) ||
        header->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        header->e_shentsize != sizeof(ElfW(Shdr)))
        return NULL;

    const ElfW(Shdr) *sections =
        image_at(image, header->e_shoff, (uint64_t)header->e_shnum * sizeof(*sections));

    for (unsigned i = 0; sections && i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB || sections[i].sh_link >= header->e_shnum)
            continue;
        const char *name = search(image, &sections[i], &sections[sections[i].sh_link], address);
        if (name)
            return name;
    }
    return NULL;
}

/* The symbol of .symtab at an address relative to the start of the object, into `text`. */
static bool lookup(const char *path, uintptr_t address, const char *file, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    bool found = false;

    if (fd < 0)
        return false;
    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        struct image_s image = {.size = (size_t)st.st_size};
        void *map = mmap(NULL, image.size, PROT_READ, MAP_PRIVATE, fd, 0);

        if (map != MAP_FAILED) {
            image.data = map;
            const char *name = find(&image, address);
            if (name) {
                snprintf(text, size, "%s (%s)", name, file);
                found = true;
            }
            munmap(map, image.size);
        }
    }
    close(fd);
    return found;
}

void kr_platform_symbol(const void *address, char *text, size_t size)
{
    struct link_map *map = NULL;
    Dl_info info;

    if (!dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP) || !info.dli_fname || !map) {
        snprintf(text, size, "%p", address);
        return;
    }
    const char *slash = strrchr(info.dli_fname, '/');
    const char *file = slash ? slash + 1 : info.dli_fname;
    uintptr_t offset = (uintptr_t)address - (uintptr_t)map->l_addr;

    if (info.dli_sname) {
        snprintf(text, size, "%s (%s)", info.dli_sname, file);
        return;
    }
    /* The program itself has no name in the link map, and argv[0] need not be a path. */
    if (!lookup(map->l_name[0] ? map->l_name : "/proc/self/exe", offset, file, text, size))
        snprintf(text, size, "%s+0x%zx", file, (size_t)offset);
}
