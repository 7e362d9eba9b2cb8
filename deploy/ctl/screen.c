/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ctl/screen.h"

#include "common/util.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l" /* second buffer, no cursor */
#define LEAVE "\033[?25h\033[?1049l"

/* What a signal handler must be able to put back. */
static struct {
    volatile sig_atomic_t is_open;
    bool keys; /* standard input is read key by key */
    struct termios before;
} screen;

void screen_close(void)
{
    if (!screen.is_open)
        return;
    screen.is_open = 0;
    ssize_t ignored = write(STDOUT_FILENO, LEAVE, sizeof(LEAVE) - 1);
    (void)ignored;
    if (screen.keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &screen.before);
}

static void on_signal(int number)
{
    screen_close();
    signal(number, SIG_DFL);
    raise(number);
}

void screen_open(void)
{
    if (!isatty(STDOUT_FILENO))
        return;
    if (tcgetattr(STDIN_FILENO, &screen.before) == 0) {
        struct termios raw = screen.before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        screen.keys = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
    screen.is_open = 1;
    fputs(ENTER, stdout);
    const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        signal(ends[i], on_signal);
}

/* The length of the CSI sequence at the start of the text, 0 if there is none. */
static size_t sequence(const char *text, size_t len)
{
    if (len < 2 || text[0] != '\033' || text[1] != '[')
        return 0;
    size_t i = 2;
    while (i < len && !(text[i] >= '@' && text[i] <= '~'))
        i++;
    return MIN(i + 1, len);
}

static void print_plain(const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\033");
        fwrite(text, 1, len, stdout);
        text += len;
        size_t skip = sequence(text, strlen(text));
        text += MAX(skip, (size_t)(*text != '\0'));
    }
    fflush(stdout);
}

size_t screen_fit(const char *line, size_t len, size_t columns)
{
    size_t i = 0;
    while (i < len) {
        size_t colour = sequence(line + i, len - i);
        if (colour > 0) {
            i += colour;
            continue;
        }
        if (columns == 0)
            break;
        columns--;
        i++;
        while (i < len && ((unsigned char)line[i] & 0xc0) == 0x80)
            i++;
    }
    return i;
}

void screen_show(const char *text)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    if (!screen.is_open) {
        print_plain(text);
        return;
    }
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    fputs("\033[H", stdout);
    for (unsigned row = 0; *text && row < size.ws_row; row++) {
        size_t len = strcspn(text, "\n");
        printf("%s%.*s\033[0m\033[K", row > 0 ? "\r\n" : "",
            (int)screen_fit(text, len, size.ws_col), text);
        text += len + (text[len] == '\n');
    }
    fputs("\033[J", stdout);
    fflush(stdout);
}

bool screen_wait(int timeout_ms)
{
    struct pollfd in = {.fd = screen.keys ? STDIN_FILENO : -1, .events = POLLIN};
    if (poll(&in, 1, timeout_ms) <= 0)
        return false;
    char c = 'q'; /* a terminal that has gone away */
    return read(STDIN_FILENO, &c, 1) <= 0 || c == 'q' || c == '\033';
}
