package widget

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	_ "image/png" // what a phone may send
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	scale2 "golang.org/x/image/draw"
	_ "golang.org/x/image/webp"

	"lookout/bot"
)

// The bounds of photos; the pages tell her of the first three.
const (
	photosAtOnce = 3
	photosADay   = 12
	maxUpload    = 10 << 20   // bytes of one photo, as it comes
	maxPixels    = 50_000_000 // of one photo: more is no photo of a telephone
	longSide     = 1600       // pixels, as it is kept
	maxPhotoForm = photosAtOnce*maxUpload + maxForm
)

// The faults of a photo are keys of words.json.
var (
	errPhotoType = &bot.FieldError{Field: "photo", Problem: "photo_type"}
	errPhotoBig  = &bot.FieldError{Field: "photo", Problem: "photo_big"}
	errPhotoMany = &bot.FieldError{Field: "photo", Problem: "photo_many"}
	errPhotoDay  = &bot.FieldError{Field: "photo", Problem: "photo_day"}
)

// isPhotoForm says whether a request brings photos, so that it may be larger.
func isPhotoForm(r *http.Request) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind == "multipart/form-data" && r.URL.Path == "/chat/say"
}

// readPhotoForm reads a form with photos into memory: nothing of them touches a disk.
// What is no photo becomes the request's form values.
func readPhotoForm(r *http.Request) ([][]byte, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, &bot.FieldError{Field: "message", Problem: "is not a form"}
	}
	values, photos := url.Values{}, [][]byte(nil)
	r.Form, r.PostForm = values, values
	var fault error
	for n := 0; n < 64; n++ {
		part, err := parts.NextPart()
		if err == io.EOF {
			return photos, fault
		}
		if err != nil {
			return nil, err
		}
		limit := int64(maxForm)
		if part.FileName() != "" {
			limit = maxUpload
		}
		content, err := io.ReadAll(io.LimitReader(part, limit+1))
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large) || int64(len(content)) > limit:
			fault = errPhotoBig
		case err != nil:
			return nil, err
		case part.FileName() == "" && part.FormName() != "photo":
			values.Add(part.FormName(), string(content))
		case len(content) == 0: // a browser sends an empty file where none was chosen
		case len(photos) == photosAtOnce:
			fault = errPhotoMany
		default:
			photos = append(photos, content)
		}
		if large != nil {
			return photos, fault // the rest cannot be read
		}
	}
	return photos, &bot.FieldError{Field: "message", Problem: "is not a form of ours"}
}

// keepPhotos makes photos anew and keeps them, and gives what stands for them in her
// message. The same message again gives the same.
func (c *Chat) keepPhotos(ctx context.Context, s session, id string, photos [][]byte) ([]bot.Media, error) {
	if len(photos) == 0 {
		return nil, nil
	}
	if len(photos) > photosAtOnce {
		return nil, errPhotoMany
	}
	var media []bot.Media
	for n, photo := range photos {
		if !c.allow("photo:"+s.Patient, 24*time.Hour/photosADay, photosADay) {
			return nil, errPhotoDay
		}
		made, err := c.remake(ctx, photo)
		if err != nil {
			return nil, err
		}
		m, err := c.Bot.KeepPhoto(ctx, s.Patient, hashed(s.Patient + "\x00" + id + "\x00" + strconv.Itoa(n))[:32], made, "image/jpeg")
		if err != nil {
			return nil, err
		}
		media = append(media, m)
	}
	return media, nil
}

// remake decodes a photo and encodes it again, upright and no larger than a nurse
// needs. What comes out holds the picture and nothing else: no place, no date, no name of a
// camera, and nothing that hid behind the picture. What it is, its content says, never
// its name. One at a time: each takes much memory.
func (c *Chat) remake(ctx context.Context, photo []byte) ([]byte, error) {
	select {
	case c.decoding <- struct{}{}:
		defer func() { <-c.decoding }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return remake(photo)
}

func remake(photo []byte) ([]byte, error) {
	what, kind, err := image.DecodeConfig(bytes.NewReader(photo))
	switch {
	case err != nil || kind != "jpeg" && kind != "png" && kind != "webp": // another part of lookout may bring decoders
		return nil, errPhotoType
	case what.Width < 1 || what.Height < 1 || what.Width > maxPixels/what.Height:
		return nil, errPhotoBig
	}
	picture, _, err := image.Decode(bytes.NewReader(photo))
	if err != nil {
		return nil, errPhotoType
	}
	w, h := what.Width, what.Height
	if long := max(w, h); long > longSide {
		w, h = max(1, w*longSide/long), max(1, h*longSide/long)
	}
	small := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(small, small.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src) // behind what is transparent
	scale2.ApproxBiLinear.Scale(small, small.Bounds(), picture, picture.Bounds(), draw.Over, nil)
	turned := small
	if kind == "jpeg" {
		turned = upright(small, orientation(photo))
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, turned, &jpeg.Options{Quality: 85}); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// upright turns a picture as its camera says that it was held (EXIF, 1 to 8), since the
// note of it goes with everything else.
func upright(p *image.RGBA, how int) *image.RGBA {
	if how < 2 || how > 8 {
		return p
	}
	w, h := p.Rect.Dx(), p.Rect.Dy()
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	if how >= 5 {
		out = image.NewRGBA(image.Rect(0, 0, h, w))
	}
	for y := range h {
		for x := range w {
			to := [9]image.Point{2: {w - 1 - x, y}, 3: {w - 1 - x, h - 1 - y}, 4: {x, h - 1 - y}, 5: {y, x}, 6: {h - 1 - y, x}, 7: {h - 1 - y, w - 1 - x}, 8: {y, w - 1 - x}}[how]
			out.SetRGBA(to.X, to.Y, p.RGBAAt(x, y))
		}
	}
	return out
}

// orientation reads how the camera was held from a JPEG's EXIF; 1 where it does not say.
func orientation(photo []byte) int {
	const upright = 1
	for at := 2; at+4 <= len(photo) && photo[at] == 0xff; {
		size := int(binary.BigEndian.Uint16(photo[at+2:]))
		end := at + 2 + size
		if size < 2 || end > len(photo) || photo[at+1] == 0xda { // the picture itself begins
			return upright
		}
		exif, ok := bytes.CutPrefix(photo[at+4:end], []byte("Exif\x00\x00"))
		if photo[at+1] != 0xe1 || !ok || len(exif) < 8 {
			at = end
			continue
		}
		var order binary.ByteOrder = binary.BigEndian
		if string(exif[:2]) == "II" {
			order = binary.LittleEndian
		}
		from := uint64(order.Uint32(exif[4:]))
		if from+2 > uint64(len(exif)) {
			return upright
		}
		for n, i := uint64(order.Uint16(exif[from:])), uint64(0); i < n && from+2+12*(i+1) <= uint64(len(exif)); i++ {
			if field := exif[from+2+12*i:]; order.Uint16(field) == 0x0112 {
				return int(order.Uint16(field[8:]))
			}
		}
		return upright
	}
	return upright
}
