package widget

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"
)

// photograph is a JPEG of w by h that is red at the top left, with what a camera notes:
// how it was held, and a place.
func photograph(t testing.TB, w, h int, held uint16) []byte {
	t.Helper()
	p := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			p.Set(x, y, color.White)
			if x < w/4 && y < h/4 {
				p.Set(x, y, color.RGBA{200, 0, 0, 255})
			}
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, p, nil); err != nil {
		t.Fatal(err)
	}
	exif := append([]byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01"), byte(held>>8), byte(held), 0, 0, 0, 0, 0, 0)
	exif = append(exif, "GPSLatitude 51.5 Zebedeemarker"...)
	segment := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(len(exif)+2))
	return bytes.Join([][]byte{b.Bytes()[:2], segment, exif, b.Bytes()[2:], []byte("<script>Zebedeemarker</script>")}, nil)
}

// A photo is made anew: upright, no larger than needed, and with nothing of where it was
// taken or what was hidden in it. What is no photo, whatever it is called, is refused.
func TestPhotoIsMadeAnew(t *testing.T) {
	// Where the red corner is to be seen, by how the camera was held.
	corners := map[uint16]image.Point{1: {0, 0}, 2: {1, 0}, 3: {1, 1}, 4: {0, 1}, 5: {0, 0}, 6: {1, 0}, 7: {1, 1}, 8: {0, 1}}
	for held, corner := range corners {
		made, err := remake(photograph(t, 200, 100, held))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(made, []byte("Exif")) || bytes.Contains(made, []byte("Zebedeemarker")) {
			t.Error("what the camera noted is still in the photo")
		}
		p, kind, err := image.Decode(bytes.NewReader(made))
		if err != nil || kind != "jpeg" {
			t.Fatalf("it is %s now, %v", kind, err)
		}
		w, h := p.Bounds().Dx(), p.Bounds().Dy()
		if lies := w > h; lies != (held < 5) {
			t.Errorf("held %d: it is %d by %d", held, w, h)
		}
		for _, at := range []image.Point{{0, 0}, {1, 0}, {0, 1}, {1, 1}} {
			_, green, _, _ := p.At(3+at.X*(w-7), 3+at.Y*(h-7)).RGBA()
			if red := green < 0x6000; red != (at == corner) {
				t.Errorf("held %d: red at %v is %v", held, at, red)
			}
		}
	}
	made, err := remake(photograph(t, 3000, 1000, 1))
	if err != nil {
		t.Fatal(err)
	}
	if p, _ := jpeg.DecodeConfig(bytes.NewReader(made)); p.Width != 1600 || p.Height != 533 {
		t.Errorf("3000 by 1000 became %d by %d", p.Width, p.Height)
	}
	var pic, anim bytes.Buffer
	dot := image.NewPaletted(image.Rect(0, 0, 4, 4), color.Palette{color.White, color.Black})
	if err := errors.Join(png.Encode(&pic, dot), gif.Encode(&anim, dot, nil)); err != nil {
		t.Fatal(err)
	}
	webp, _ := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	for name, photo := range map[string][]byte{"PNG": pic.Bytes(), "WebP": webp} {
		if _, err := remake(photo); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	huge := bytes.Clone(pic.Bytes())
	binary.BigEndian.PutUint32(huge[16:], 60000)
	binary.BigEndian.PutUint32(huge[20:], 60000)
	for name, photo := range map[string][]byte{"a page": []byte("<html><script>"), "a GIF": anim.Bytes(), "half a photo": photograph(t, 50, 50, 1)[:300], "a bomb": huge, "a drawing": []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`)} {
		if _, err := remake(photo); err == nil {
			t.Errorf("%s was taken for a photo", name)
		}
	}
}

// Whatever bytes come, they are made anew or refused, and what comes out opens.
func FuzzPhoto(f *testing.F) {
	f.Add(photograph(f, 20, 10, 6))
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x10Exif\x00\x00II*\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, photo []byte) {
		orientation(photo)
		if what, _, err := image.DecodeConfig(bytes.NewReader(photo)); err == nil && what.Width*what.Height > 1_000_000 {
			return // right, and slow
		}
		made, err := remake(photo)
		if err != nil {
			return
		}
		if _, err := jpeg.Decode(bytes.NewReader(made)); err != nil {
			t.Errorf("what was made does not open: %v", err)
		}
	})
}
