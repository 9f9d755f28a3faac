# Disqo from source, for those who can pull golang. The image is the binary, its
# configuration and an empty /data:
#
#     docker build -t disqo .
#
# Dockerfile.prebuilt makes the same image of a binary that was built outside.
FROM golang:1.26 AS build
ARG VERSION=
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "${VERSION:+-X main.version=$VERSION}" -o /disqo ./cmd/disqo

FROM scratch
COPY --from=build /disqo /disqo
COPY docker/disqo.conf /etc/disqo.conf
COPY --chown=65532:65532 docker/data /data
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 7711 8711 17711/tcp 17711/udp
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/disqo", "--healthcheck", "/etc/disqo.conf"]
ENTRYPOINT ["/disqo", "/etc/disqo.conf"]
