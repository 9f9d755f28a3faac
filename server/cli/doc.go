// Package cli holds only tests: the command line tools people have already
// (redis-cli, redis-benchmark, nc) against the real program, and the commands
// of README.md and of pages of docs as a reader would type them.
//
// The tools are Debian's redis-tools, redis-server, beanstalkd, netcat-openbsd,
// python3-redis, curl and iproute2. A test whose tool is missing is skipped, except where
// DISQO_CI=1 is set, as .ci/run does.
package cli
