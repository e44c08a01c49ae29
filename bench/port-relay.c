/*
 * What a relay in a guest costs that does nothing else: `port-relay PORT NUMBER` passes bytes between a virtio-serial port and whoever
 * listens on 127.0.0.1:NUMBER, one connection after the other, and ends when the host closes the port.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Linux takes one page of a port for each buffer of readv(2) (drivers/char/virtio_console.c). */
enum { PAGE = 4096, PAGES = 64 };

static char bytes[PAGES * PAGE];

static int dial(int number)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(number), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		exit(2);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static void pass(int fd, ssize_t count)
{
	struct pollfd room = { fd, POLLOUT, 0 };
	for (ssize_t done = 0, written; done < count; done += written > 0 ? written : 0)
		if ((written = write(fd, bytes + done, count - done)) < 0)
			poll(&room, 1, -1);
}

int main(int argc, char **argv)
{
	struct iovec pages[PAGES];
	struct pollfd ends[2];
	if (argc != 3)
		return 1;
	for (int at = 0; at < PAGES; at++)
		pages[at] = (struct iovec){ bytes + at * PAGE, PAGE };
	ends[0] = (struct pollfd){ open(argv[1], O_RDWR | O_NONBLOCK), POLLIN, 0 };
	ends[1] = (struct pollfd){ -1, POLLIN, 0 };
	while (poll(ends, 2, -1) > 0) {
		ssize_t count;
		if (ends[0].revents & (POLLHUP | POLLNVAL))
			return 0;
		if (ends[0].revents & POLLIN && (count = readv(ends[0].fd, pages, PAGES)) > 0) {
			if (ends[1].fd < 0)
				ends[1].fd = dial(atoi(argv[2]));
			pass(ends[1].fd, count);
		}
		if (ends[1].fd >= 0 && ends[1].revents) {
			count = read(ends[1].fd, bytes, sizeof bytes);
			if (count > 0) {
				pass(ends[0].fd, count);
			} else {
				close(ends[1].fd);
				ends[1].fd = -1;
			}
		}
	}
	return 3;
}
