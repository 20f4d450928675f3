# One static binary and nothing else. Not built in the tests: there is no container engine there.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /lookout ./cmd/lookout

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /lookout /lookout
VOLUME /data
ENV LOOKOUT_STORE=sqlite:/data/lookout.db LOOKOUT_ADDR=0.0.0.0:8080
EXPOSE 8080
ENTRYPOINT ["/lookout"]
CMD ["serve"]
