/* SPDX-License-Identifier: MIT */
#include "vm_port.h"

#include <stdio.h>

error_t vm_port_try(struct vm_port_s *p, struct kt_env_s *env, const char *path, const char *keys)
{
    struct device_s *root = kroutine_runtime_devices(env->rt);
    char spec[200];
    error_t err;

    *p = (struct vm_port_s){env, DEVICE_ACCESSOR_INIT, DEVICE_ACCESSOR_INIT};
    snprintf(spec, sizeof spec, "tty:%s%s", path, keys);
    err = device_get_accessor_by_path(&p->uart.base, root, spec, DRIVER_CLASS_UART);
    if (!err)
        err = device_get_accessor_by_path(&p->chr.base, root, spec, DRIVER_CLASS_CHAR);
    return err;
}

void vm_port_open(struct vm_port_s *p, struct kt_env_s *env, const char *path, const char *keys)
{
    error_t err = vm_port_try(p, env, path, keys);

    ck_assert_msg(err == 0, "%s: %s", path, kroutine_error_text());
}

void vm_port_close(struct vm_port_s *p)
{
    device_put_accessor(&p->chr.base);
    device_put_accessor(&p->uart.base);
}

static size_t transfer(struct vm_port_s *p, unsigned type, void *data, size_t size, int error)
{
    struct kt_op_s op;

    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &p->chr, type, data, size);
    kt_await(p->env, kt_get(&op.done) >= 1);
    ck_assert_msg(op.error == error, "error %d (%s), not %d, with %zu of %zu bytes left", op.error,
                  strerror(-op.error), error, op.left, size);
    return size - op.left;
}

size_t vm_read(struct vm_port_s *p, void *data, size_t size, int error)
{
    return transfer(p, DEV_CHAR_READ, data, size, error);
}

size_t vm_write(struct vm_port_s *p, const void *data, size_t size, int error)
{
    return transfer(p, DEV_CHAR_WRITE, (void *)(uintptr_t)data, size, error);
}

void vm_transfer(struct vm_port_s *from, struct vm_port_s *to, size_t size)
{
    uint8_t *out = malloc(size), *in = calloc(1, size);
    struct kt_op_s reader, writer;

    ck_assert(out && in);
    kt_fill(out, size, 0);
    kt_op_init(&reader, KROUTINE_DEFERRED);
    kt_op_init(&writer, KROUTINE_DEFERRED);
    kt_op_submit(&reader, &to->chr, DEV_CHAR_READ, in, size);
    kt_op_submit(&writer, &from->chr, DEV_CHAR_WRITE, out, size);
    kt_op_expect(&writer, from->env, 0, 0);
    kt_op_expect(&reader, to->env, 0, 0);
    kt_check_fill(in, size, 0);
    free(out);
    free(in);
}

static KROUTINE_EXEC(uart_over)
{
    struct vm_uart_op_s *op = KROUTINE_CONTAINER(dev_uart_rq_from_kr(kr), struct vm_uart_op_s, rq);

    (void)flags;
    op->error = op->rq.error;
    kt_inc(&op->done);
}

void vm_uart_init(struct vm_uart_op_s *op, unsigned type)
{
    memset(op, 0, sizeof *op);
    dev_uart_rq_init(&op->rq, uart_over);
    op->rq.type = (uint8_t)type;
}

void vm_uart_submit(struct vm_uart_op_s *op, struct vm_port_s *p)
{
    kt_set(&op->done, 0);
    DEVICE_OP(&p->uart, request, &op->rq);
}

void vm_uart_expect(struct vm_uart_op_s *op, struct vm_port_s *p, int error)
{
    kt_await(p->env, kt_get(&op->done) >= 1);
    ck_assert_uint_eq(kt_get(&op->done), 1);
    ck_assert_msg(op->error == error, "error %d (%s), not %d", op->error, strerror(-op->error),
                  error);
}
