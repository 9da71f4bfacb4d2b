/* SPDX-License-Identifier: MIT */
/*
 * What is used here of include/uapi/linux/iommufd.h and vfio.h as of Linux 6.12, under names of our
 * own: the headers of Debian 12 are of Linux 6.1, which had neither.
 */
#ifndef KR_VFIO_IOMMUFD_ABI_H
#define KR_VFIO_IOMMUFD_ABI_H

#include <stdint.h>
#include <sys/ioctl.h>

#define ABI_TYPE (';')

/* --- /dev/iommu: every structure starts with its size --- */

struct abi_ioas_alloc_s {
    uint32_t size;
    uint32_t flags;
    uint32_t out_ioas_id;
};

struct abi_iova_range_s {
    uint64_t start;
    uint64_t last;
};

struct abi_ioas_iova_ranges_s {
    uint32_t size;
    uint32_t ioas_id;
    uint32_t num_iovas; /* room in the list; then the number of ranges, with EMSGSIZE the needed */
    uint32_t reserved;
    uint64_t allowed_iovas; /* struct abi_iova_range_s * */
    uint64_t out_iova_alignment;
};

enum abi_ioas_map_e {
    ABI_IOAS_MAP_FIXED_IOVA = 1,
    ABI_IOAS_MAP_WRITEABLE = 2,
    ABI_IOAS_MAP_READABLE = 4,
};

struct abi_ioas_map_s {
    uint32_t size;
    uint32_t flags;
    uint32_t ioas_id;
    uint32_t reserved;
    uint64_t user_va;
    uint64_t length;
    uint64_t iova;
};

struct abi_ioas_unmap_s {
    uint32_t size;
    uint32_t ioas_id;
    uint64_t iova;
    uint64_t length;
};

#define ABI_IOAS_ALLOC       _IO(ABI_TYPE, 0x81)
#define ABI_IOAS_IOVA_RANGES _IO(ABI_TYPE, 0x84)
#define ABI_IOAS_MAP         _IO(ABI_TYPE, 0x85)
#define ABI_IOAS_UNMAP       _IO(ABI_TYPE, 0x86)

/* --- /dev/vfio/devices/vfioN --- */

struct abi_bind_iommufd_s {
    uint32_t argsz;
    uint32_t flags;
    int32_t iommufd;
    uint32_t out_devid;
};

struct abi_attach_iommufd_pt_s {
    uint32_t argsz;
    uint32_t flags;
    uint32_t pt_id;
};

#define ABI_DEVICE_BIND_IOMMUFD      _IO(ABI_TYPE, 100 + 18)
#define ABI_DEVICE_ATTACH_IOMMUFD_PT _IO(ABI_TYPE, 100 + 19)

#endif
