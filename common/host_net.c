/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and socket options. */
#include "common/host_internal.h"
#include "common/util.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

int net_split(const char *address, char host[NET_HOST_MAX], char port[NET_PORT_MAX], struct err *e)
{
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address)
        return err_set(e, -EINVAL, "%s: must be address:port, such as 10.0.0.5:7000", address);
    const char *begin = address;
    const char *end = colon;
    if (*begin == '[' && end[-1] == ']') {
        begin++;
        end--;
    } else if (memchr(begin, ':', (size_t)(end - begin))) {
        return err_set(e, -EINVAL, "%s: an IPv6 address needs brackets: [::1]:7000", address);
    }
    char *rest;
    unsigned long number = strtoul(colon + 1, &rest, 10);
    if (colon[1] < '0' || colon[1] > '9' || *rest || number > 65535)
        return err_set(e, -EINVAL, "%s: the port must be 0 to 65535", address);
    if (end == begin || end - begin >= NET_HOST_MAX)
        return err_set(e, -EINVAL, "%s: has no address before the port", address);
    snprintf(host, NET_HOST_MAX, "%.*s", (int)(end - begin), begin);
    snprintf(port, NET_PORT_MAX, "%lu", number);
    return 0;
}

bool net_is_numeric(const char *host, const char *port, struct sockaddr_storage *out)
{
    *out = (struct sockaddr_storage){0};
    int number = (int)strtol(port, NULL, 10); /* net_split has looked at it */
    return uv_ip4_addr(host, number, (struct sockaddr_in *)out) == 0 ||
           uv_ip6_addr(host, number, (struct sockaddr_in6 *)out) == 0;
}

int net_resolve(const char *address, struct sockaddr_storage *out, struct err *e)
{
    char host[NET_HOST_MAX];
    char port[NET_PORT_MAX];
    int r = net_split(address, host, port, e);
    if (r < 0)
        return r;
    if (net_is_numeric(strcmp(host, "*") == 0 ? "0.0.0.0" : host, port, out))
        return 0;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    r = getaddrinfo(host, port, &hints, &found);
    if (r != 0 || found->ai_addrlen > sizeof(*out))
        return err_set(e, -EADDRNOTAVAIL, "%s: %s", address, gai_strerror(r));
    memcpy(out, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

void net_format(const struct sockaddr_storage *address, char out[HOST_PEER_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    bool is_v6 = address->ss_family == AF_INET6;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    uint16_t port = ntohs(is_v6 ? v6->sin6_port : v4->sin_port);
    if (is_v6)
        uv_ip6_name(v6, ip, sizeof(ip));
    else
        uv_ip4_name(v4, ip, sizeof(ip));
    snprintf(out, HOST_PEER_MAX, is_v6 ? "[%s]:%u" : "%s:%u", ip, port);
}

/* Best effort: a socket without these options still works, it is only slower to notice a death. */
void net_tune(uv_tcp_t *tcp, uint64_t silent_ms)
{
    uv_os_fd_t fd;
    uv_tcp_nodelay(tcp, 1);
    if (uv_fileno((uv_handle_t *)tcp, &fd) < 0)
        return;
    int on = 1;
    int idle_s = MAX((int)(silent_ms / 2000), 1);
    int interval_s = MAX((int)(silent_ms / 5000), 1);
    int count = 3;
    unsigned timeout_ms = (unsigned)silent_ms;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

int net_peer_uid(const uv_pipe_t *pipe, uint32_t *uid)
{
    uv_os_fd_t fd;
    struct ucred peer;
    socklen_t len = sizeof(peer);
    int r = uv_fileno((const uv_handle_t *)pipe, &fd);
    if (r < 0)
        return r;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return -errno;
    *uid = peer.uid;
    return 0;
}
