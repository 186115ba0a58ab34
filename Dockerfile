# The image of the action: one static binary, which is /pre, /main and /post by the name it is called by.
# Another image with cargo and a C linker can be named where the usual one is out of reach.
ARG BUILDER=rust:1-slim-bookworm
FROM ${BUILDER} AS build
WORKDIR /source
COPY . .
# A target named explicitly keeps build scripts and procedural macros dynamic, as they must be.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
 && RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --target "$target" \
 && mkdir /image \
 && cp "target/$target/release/local-cache" /image/main \
 && ln -s main /image/pre \
 && ln -s main /image/post

FROM scratch
LABEL org.opencontainers.image.title="local-cache" \
      org.opencontainers.image.description="Keeps Cargo registries, build outputs and any other directory on a self-hosted runner's own disk" \
      org.opencontainers.image.source="https://github.com/btcdecoded/local-cache" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /image/ /
ENTRYPOINT ["/main"]
