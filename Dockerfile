# The image of the action: one static binary, called as /pre, /main and /post.
# BUILDER can name another image with cargo and a C linker.
ARG BUILDER=rust:1-slim-bookworm
FROM ${BUILDER} AS build
WORKDIR /source
COPY . .
# Build scripts and procedural macros must be linked dynamically; an explicit target limits crt-static to the program.
# Packed relocations make the program 0.25 MB smaller. A C library that does not know them makes one that cannot start.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
 && flags='-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs' \
 && RUSTFLAGS="$flags" cargo build --profile dist --locked --target "$target" \
 && "target/$target/dist/local-cache" --version \
 && mkdir /image \
 && cp "target/$target/dist/local-cache" /image/main \
 && ln -s main /image/pre \
 && ln -s main /image/post

FROM scratch
LABEL org.opencontainers.image.title="local-cache" \
      org.opencontainers.image.description="Caches Cargo registries, target directories and any other directory on a self-hosted runner's disk" \
      org.opencontainers.image.source="https://github.com/btcdecoded/local-cache" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /image/ /
ENTRYPOINT ["/main"]
