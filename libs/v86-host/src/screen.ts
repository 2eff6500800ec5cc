import { CODE_PAGE_437 } from './code-page-437.ts';
import type { ScreenAdapter, V86Cpu } from './v86.internals.ts';

const BLINKING = 1;
const FONT_PAGE_B = 2;
const GLYPHS_PER_PAGE = 256;
/** A glyph takes 32 bytes of the VGA's plane 2, one per scan line, however tall it is. */
const GLYPH_BYTES = 32;
const BYTES_PER_PIXEL = 4;

interface Font {
  readonly height: number;
  readonly width: number;
  readonly copyEighthColumn: boolean;
  /** The VGA's plane 2 itself. */
  readonly bitmap: Uint8Array;
}

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Rows from the top, 4 bytes a pixel. */
  readonly rgba: Uint8Array;
}

/** What the guest shows: the VGA's text cells in its own font, or its pixels. */
export class Screen {
  #graphical = false;
  #columns = 80;
  #rows = 25;
  #codes = new Uint8Array(80 * 25);
  #flags = new Uint8Array(80 * 25);
  #backgrounds = new Int32Array(80 * 25);
  #foregrounds = new Int32Array(80 * 25);
  #font: Font = { height: 16, width: 8, copyEighthColumn: false, bitmap: new Uint8Array(0) };
  #fontPages = [0, 0];
  #cursor = { row: 0, column: 0, start: 0, end: 0, visible: false };
  #textChanges = 0;
  #cpu: V86Cpu | undefined;

  /** Takes the place of upstream's screen. Must run before the VGA device is made. */
  adopt(adapter: ScreenAdapter): ScreenAdapter {
    // With these flags undefined, upstream would pass NaN for every cell.
    adapter.FLAG_BLINKING = BLINKING;
    adapter.FLAG_FONT_PAGE_B = FONT_PAGE_B;
    adapter.put_char = (row, column, code, flags, background, foreground) => {
      if (row >= this.#rows || column >= this.#columns) return;
      const cell = row * this.#columns + column;
      if (this.#codes[cell] !== code) this.#textChanges += 1;
      this.#codes[cell] = code;
      this.#flags[cell] = flags;
      this.#backgrounds[cell] = background;
      this.#foregrounds[cell] = foreground;
    };
    adapter.set_mode = (graphical) => {
      this.#graphical = graphical;
    };
    adapter.set_size_text = (columns, rows) => this.#resize(columns, rows);
    adapter.set_size_graphical = () => undefined;
    adapter.set_font_bitmap = (height, nineWide, doubleWide, copyEighthColumn, bitmap) => {
      this.#font = { height, width: doubleWide ? 16 : nineWide ? 9 : 8, copyEighthColumn, bitmap };
    };
    adapter.set_font_page = (pageA, pageB) => {
      this.#fontPages = [pageA, pageB];
    };
    adapter.update_cursor = (row, column) => {
      this.#cursor = { ...this.#cursor, row, column };
    };
    adapter.update_cursor_scanline = (start, end, visible) => {
      this.#cursor = { ...this.#cursor, start, end, visible };
    };
    adapter.update_buffer = () => undefined;
    adapter.clear_text_state = () => this.#resize(this.#columns, this.#rows);
    return adapter;
  }

  attach(cpu: V86Cpu): void {
    this.#cpu = cpu;
  }

  /** Counts characters drawn; tells a watcher of the text whether to look again. */
  get textChanges(): number {
    return this.#textChanges;
  }

  /** Rows of the text screen without trailing blanks; undefined while the guest is in a graphics mode. */
  text(): string[] | undefined {
    if (this.#graphical) return undefined;
    this.#draw();
    return Array.from({ length: this.#rows }, (_, row) =>
      Array.from(this.#codes.subarray(row * this.#columns, (row + 1) * this.#columns), (code) => CODE_PAGE_437[code])
        .join('')
        .trimEnd(),
    );
  }

  size(): { readonly width: number; readonly height: number } {
    const vga = this.#cpu?.devices.vga;
    return this.#graphical && vga
      ? { width: vga.screen_width, height: vga.screen_height }
      : { width: this.#columns * this.#font.width, height: this.#rows * this.#font.height };
  }

  picture(): Picture {
    this.#draw();
    return this.#graphical && this.#cpu ? graphicsPicture(this.#cpu) : this.#textPicture();
  }

  /** Scrolling by start address reaches the cells, and pixels reach their buffer, only when a frame is asked for. */
  #draw(): void {
    this.#cpu?.devices.vga.screen_fill_buffer();
  }

  #resize(columns: number, rows: number): void {
    if (columns === this.#columns && rows === this.#rows) return;
    this.#columns = columns;
    this.#rows = rows;
    this.#codes = new Uint8Array(columns * rows);
    this.#flags = new Uint8Array(columns * rows);
    this.#backgrounds = new Int32Array(columns * rows);
    this.#foregrounds = new Int32Array(columns * rows);
  }

  #textPicture(): Picture {
    const { width, height } = this.size();
    const pixels = new Uint32Array(width * height).fill(rgbaOf(0));
    for (let row = 0; row < this.#rows; row += 1) {
      for (let column = 0; column < this.#columns; column += 1) this.#drawCell(pixels, width, row, column);
    }
    this.#drawCursor(pixels, width);
    return { width, height, rgba: new Uint8Array(pixels.buffer) };
  }

  #drawCell(pixels: Uint32Array, stride: number, row: number, column: number): void {
    const { width, height, bitmap, copyEighthColumn } = this.#font;
    const cell = row * this.#columns + column;
    const code = this.#codes[cell] ?? 0;
    const page = this.#fontPages[(this.#flags[cell] ?? 0) & FONT_PAGE_B ? 1 : 0] ?? 0;
    const glyph = (page * GLYPHS_PER_PAGE + code) * GLYPH_BYTES;
    const background = rgbaOf(this.#backgrounds[cell] ?? 0);
    const foreground = rgbaOf(this.#foregrounds[cell] ?? 0);
    // The VGA repeats the eighth column only for line-drawing characters.
    const ninthColumn = copyEighthColumn && code >= 0xc0 && code <= 0xdf ? 1 : 0;
    for (let line = 0; line < height; line += 1) {
      const bits = bitmap[glyph + line] ?? 0;
      const start = (row * height + line) * stride + column * width;
      for (let x = 0; x < width; x += 1) {
        const bit = width === 16 ? x >> 1 : x;
        const lit = bit < 8 ? (bits >> (7 - bit)) & 1 : bits & ninthColumn;
        pixels[start + x] = lit ? foreground : background;
      }
    }
  }

  #drawCursor(pixels: Uint32Array, stride: number): void {
    const { row, column, start, end, visible } = this.#cursor;
    if (!visible || row >= this.#rows || column >= this.#columns) return;
    const { width, height } = this.#font;
    const color = rgbaOf(this.#foregrounds[row * this.#columns + column] ?? 0);
    for (let line = start; line <= Math.min(end, height - 1); line += 1) {
      const from = (row * height + line) * stride + column * width;
      pixels.fill(color, from, from + width);
    }
  }
}

function graphicsPicture(cpu: V86Cpu): Picture {
  const { vga } = cpu.devices;
  const { screen_width: width, screen_height: height, virtual_width: stride } = vga;
  const rgba = new Uint8Array(width * height * BYTES_PER_PIXEL);
  const buffer = cpu.wasm_memory.buffer;
  // Panned legacy modes show a part of a larger picture; one layer says where it starts.
  const firstRow = vga.svga_enabled ? 0 : (vga.layers[0]?.buffer_y ?? 0);
  const firstColumn = vga.svga_enabled ? 0 : -(vga.layers[0]?.screen_x ?? 0);
  for (let row = 0; row < height; row += 1) {
    const from = vga.dest_buffet_offset + ((firstRow + row) * stride + firstColumn) * BYTES_PER_PIXEL;
    const pixels = Math.min(width, stride - firstColumn);
    if (pixels <= 0 || from + pixels * BYTES_PER_PIXEL > buffer.byteLength) break;
    rgba.set(new Uint8Array(buffer, from, pixels * BYTES_PER_PIXEL), row * width * BYTES_PER_PIXEL);
  }
  for (let alpha = 3; alpha < rgba.length; alpha += BYTES_PER_PIXEL) rgba[alpha] = 255;
  return { width, height, rgba };
}

/** 0xRRGGBB to the bytes R, G, B, 255 of a little-endian word. */
function rgbaOf(color: number): number {
  return ((255 << 24) | ((color & 0xff) << 16) | (color & 0xff00) | ((color >> 16) & 0xff)) >>> 0;
}
