# One static binary and nothing else. Not built in the tests: there is no container engine there.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /lookout ./cmd/lookout && mkdir /data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /lookout /lookout
# A volume takes over whose the folder is: the store's user, who is not root.
COPY --from=build --chown=65532:65532 /data /data
VOLUME /data
ENV LOOKOUT_STORE=sqlite:/data/lookout.db LOOKOUT_ADDR=0.0.0.0:8080
EXPOSE 8080
ENTRYPOINT ["/lookout"]
# While the content is a draft: docker run … serve --unsigned
CMD ["serve"]
