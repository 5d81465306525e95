# pgsluice alone in an image: one static binary, no shell, no root, nothing written outside /data.

FROM rust:1-alpine AS build
RUN apk add --no-cache build-base
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin pgsluice \
    && mkdir /empty \
    && echo 'pgsluice:x:65532:65532::/data:/sbin/nologin' >/passwd

FROM scratch
COPY --from=build /passwd /etc/passwd
COPY --from=build /build/target/release/pgsluice /pgsluice
COPY --from=build --chown=65532:65532 /empty /data
USER 65532:65532
ENV PGSLUICE_DATA=/data
VOLUME /data
EXPOSE 6432
ENTRYPOINT ["/pgsluice"]
CMD ["serve", "--listen", "0.0.0.0:6432"]
