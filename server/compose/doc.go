// Package compose holds only a test: the cluster of docker-compose.yml on a
// Docker engine, through all that happens to a cluster in its life, under load.
//
// The image is built from scratch by Dockerfile.prebuilt, so that no registry is
// needed. The test goes through published ports, as users do, and leaves no
// container, network, volume or image behind. It takes two to three minutes;
// without Docker, or with -short, it is skipped, except where DISQO_CI=1 is set,
// as .ci/run does: there it fails.
package compose
