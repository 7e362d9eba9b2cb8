/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/control.h"

#include "common/util.h"
#include "proto/ctl.h"
#include "proto/ctl.pb-c.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONTROL_HEADER 6 /* u32 length of type and body, u16 type, both big-endian */

static void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int connect_socket(const char *path, struct err *e)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return err_set(e, -ENAMETOOLONG, "the socket path %s is longer than %zu bytes", path,
            sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(e, -errno, "no socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    int r = -errno;
    close(fd);
    if (r == -EACCES || r == -EPERM)
        return err_set(e, r, "%s: permission denied; ask as the daemon's user or as root", path);
    return err_set(e, r, "nobody answers at %s (%s): is the daemon running?", path, strerror(-r));
}

static int send_all(int fd, const uint8_t *data, size_t len, struct err *e)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, -errno, "the daemon hung up: %s", strerror(errno));
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int send_request(int fd, const char *verb, const char *arguments, struct err *e)
{
    Ctl__Request request = CTL__REQUEST__INIT;
    request.verb = (char *)verb;
    request.arguments = (char *)arguments;
    struct blob *body = codec_pack(&request.base);
    if (!body)
        return err_set(e, -ENOMEM, "out of memory");
    uint32_t length = (uint32_t)body->len + 2;
    const uint8_t header[CONTROL_HEADER] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16),
        (uint8_t)(length >> 8), (uint8_t)length, CTL_REQUEST >> 8, CTL_REQUEST & 0xff};
    int r = send_all(fd, header, sizeof(header), e);
    if (r == 0)
        r = send_all(fd, body->data, body->len, e);
    blob_unref(body);
    return r;
}

static int receive_all(int fd, uint8_t *out, size_t len, int64_t deadline_ms, struct err *e)
{
    while (len > 0) {
        int64_t left = deadline_ms - now_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return err_set(e, -ETIMEDOUT, "the daemon did not answer in time");
        ssize_t n = recv(fd, out, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(e, -EPIPE, "the daemon hung up before it answered");
        out += n;
        len -= (size_t)n;
    }
    return 0;
}

/* The body of the one reply frame, owned by the caller. */
static int receive_reply(int fd, int64_t deadline_ms, uint8_t **body, size_t *len, struct err *e)
{
    uint8_t header[CONTROL_HEADER];
    int r = receive_all(fd, header, sizeof(header), deadline_ms, e);
    if (r < 0)
        return r;
    size_t length = (size_t)header[0] << 24 | (size_t)header[1] << 16 | (size_t)header[2] << 8 |
                    (size_t)header[3];
    if (length < 2 || length > CTL_BYTES_MAX || (header[4] << 8 | header[5]) != CTL_REPLY)
        return err_set(e, -EPROTO, "what answers is no admin socket of QuNetQFL");
    auto_free uint8_t *data = malloc(length - 2 + 1);
    if (!data)
        return err_set(e, -ENOMEM, "out of memory");
    r = receive_all(fd, data, length - 2, deadline_ms, e);
    if (r < 0)
        return r;
    *body = steal(&data);
    *len = length - 2;
    return 0;
}

static int read_reply(const uint8_t *body, size_t len, char **result, struct err *e)
{
    Ctl__Reply *reply = ctl__reply__unpack(NULL, len, body);
    if (!reply)
        return err_set(e, -EPROTO, "the daemon's answer is malformed");
    int code = reply->code;
    if (code != 0)
        err_set(e, code, "%s", reply->reason);
    else if (!(*result = strdup(reply->result)))
        code = err_set(e, -ENOMEM, "out of memory");
    ctl__reply__free_unpacked(reply, NULL);
    return code;
}

int control_call(const char *socket_path, const char *verb, const char *arguments, int timeout_ms,
    char **result, struct err *e)
{
    *result = NULL;
    cleanup(closep) int fd = connect_socket(socket_path, e);
    if (fd < 0)
        return fd;
    int r = send_request(fd, verb, arguments, e);
    if (r < 0)
        return r;
    auto_free uint8_t *body = NULL;
    size_t len = 0;
    r = receive_reply(fd, now_ms() + timeout_ms, &body, &len, e);
    return r < 0 ? r : read_reply(body, len, result, e);
}
