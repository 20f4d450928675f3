// Photos, made small on her device before they are kept or sent: what the canvas draws
// is the picture alone, upright, without where and when it was taken. The server does
// the same again, and trusts nothing of this.

const longSide = 1600; // pixels; as photo.go has it
export const most = 3;

// shrink gives a small JPEG of a file; null: the browser cannot read it as a picture.
export async function shrink(file: Blob): Promise<Blob | null> {
  try {
    const picture = await createImageBitmap(file);
    const scale = Math.min(1, longSide / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    const on = canvas.getContext("2d")!;
    on.fillStyle = "#fff"; // behind what is transparent
    on.fillRect(0, 0, canvas.width, canvas.height);
    on.drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
    return await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
  } catch {
    return null;
  }
}
