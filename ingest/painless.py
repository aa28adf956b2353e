"""What the ingest pipeline runs on the server, in Painless: `FUNCTIONS`, and `MAIN` calling them.

Beside them it has `putCode` of the code's storage. Its parameters are those of `pipeline_body`.
"""

# `places` and `putAnew` are those of `documents.py`: both sides see a dotted field alike.
# The vector comes back from the index with length 1, and a single `_update` of another field sends
# it through here again: a unit vector with the very hashes that are stored beside it keeps the
# stored norm.
FUNCTIONS = """
Map child(Map at, String name) {
  def inner = at.get(name);
  if (inner instanceof Map) { return (Map) inner; }
  Map made = new HashMap();
  at.put(name, made);
  return made;
}
void places(def inner, String path, boolean below, List found) {
  if (inner instanceof List) {
    for (def one : (List) inner) { places(one, path, below, found); }
  }
  if (!(inner instanceof Map)) { return; }
  Map at = (Map) inner;
  if (below) {
    for (def key : at.keySet()) {
      if (((String) key).startsWith(path + '.')) { found.add([at, key]); }
    }
  } else if (at.containsKey(path)) { found.add([at, path]); }
  for (int i = path.indexOf('.'); i >= 0; i = path.indexOf('.', i + 1)) {
    String head = path.substring(0, i);
    if (at.containsKey(head)) { places(at.get(head), path.substring(i + 1), below, found); }
  }
}
void remove(Map at, String path) {
  List found = new ArrayList();
  places(at, path, false, found);
  places(at, path, true, found);
  for (def place : found) { ((Map) place.get(0)).remove(place.get(1)); }
}
void putAnew(Map at, String path, def value) {
  remove(at, path);
  Map inner = at;
  int start = 0;
  for (int i = path.indexOf('.'); i >= 0; i = path.indexOf('.', start)) {
    inner = child(inner, path.substring(start, i));
    start = i + 1;
  }
  inner.put(path.substring(start), value);
}
List unpacked(String text) {
  List out = new ArrayList();
  try {
    byte[] bytes = Base64.getDecoder().decode(text);
    if (bytes.length % 4 != 0) { return null; }
    for (int i = 0; i < bytes.length; i += 4) {
      int word = ((bytes[i] & 255) << 24) | ((bytes[i + 1] & 255) << 16)
        | ((bytes[i + 2] & 255) << 8) | (bytes[i + 3] & 255);
      out.add(Float.intBitsToFloat(word));
    }
  } catch (IllegalArgumentException e) { return null; }
  return out;
}
boolean same(Map fresh, Map old) {
  for (def entry : fresh.entrySet()) {
    def a = entry.getValue();
    def b = old.get(entry.getKey());
    if (a instanceof Long && b instanceof Number) {
      if (((Number) b).longValue() != (long) a) { return false; }
    } else if (!a.equals(b)) { return false; }
  }
  return true;
}
double dot(String w, int o, double[] x) {
  double t = 0.0;
  for (int i = 0; i < x.length; i += 4) {
    t += x[i] * ((int) w.charAt(o) - 1024) + x[i + 1] * ((int) w.charAt(o + 1) - 1024)
       + x[i + 2] * ((int) w.charAt(o + 2) - 1024) + x[i + 3] * ((int) w.charAt(o + 3) - 1024);
    o += 4;
  }
  return t;
}
List sketch(double[] x, double len, Map p) {
  List out = new ArrayList();
  double factor = (double) p.sketch_factor / len;
  for (int r = 0; r < (int) p.n_directions; ++r) {
    double m = Math.rint(dot((String) p.sketch_rows, r * x.length, x) * factor);
    out.add((int) Math.max(-127.0, Math.min(127.0, m)));
  }
  return out;
}
String term(int bucket, int width) {
  String t = Integer.toHexString(bucket);
  while (t.length() < width) { t = '0' + t; }
  return t;
}
List bitBuckets(double[] x, double len, Map p) {
  List out = new ArrayList();
  int r = 0;
  for (int table = 0; table < (int) p.n_tables; ++table) {
    int id = 0;
    for (int b = 0; b < (int) p.bits_per_table; ++b) {
      double m = dot((String) p.bucket_rows, r * x.length, x) - (double) p.bucket_offsets[r] * len;
      id = (id << 1) | (m > 0.0 ? 1 : 0);
      r++;
    }
    out.add(term(id + (table << (int) p.bits_per_table), (int) p.width));
  }
  return out;
}
List cellBuckets(double[] x, double len, Map p) {
  String w = (String) p.bucket_rows;
  int n = (int) p.n_buckets;
  double scale = (double) p.scale;
  double lambda = (double) p.soar_lambda;
  double[] s = new double[n];
  int first = 0;
  int next = -1;
  for (int j = 0; j < n; ++j) {
    s[j] = dot(w, j * x.length, x) * scale / len;
    if (j == 0) continue;
    if (s[j] > s[first]) { next = first; first = j; }
    else if (next < 0 || s[j] > s[next]) { next = j; }
  }
  double[] dir = new double[x.length];
  double square = 0.0;
  double alongX = 0.0;
  for (int i = 0; i < x.length; ++i) {
    dir[i] = x[i] / len - ((int) w.charAt(first * x.length + i) - 1024) * scale;
    square += dir[i] * dir[i];
  }
  double length = Math.max(Math.sqrt(square), 1e-300);
  for (int i = 0; i < x.length; ++i) { dir[i] /= length; alongX += dir[i] * x[i] / len; }
  List squares = (List) p.squares;
  int second = next;
  double a = alongX - dot(w, next * x.length, dir) * scale;
  double best = (double) squares.get(next) - 2.0 * s[next] + lambda * a * a;
  for (int j = 0; j < n; ++j) {
    double loss = (double) squares.get(j) - 2.0 * s[j];
    if (j == first || j == next || loss > best) continue;
    a = alongX - dot(w, j * x.length, dir) * scale;
    loss += lambda * a * a;
    if (loss < best || (loss == best && j < second)) { best = loss; second = j; }
  }
  return [term(first, (int) p.width), term(second, (int) p.width)];
}
"""

MAIN = """
String root = (String) params.root;
List found = new ArrayList();
places(ctx, (String) params.what, false, found);
boolean sent = found.size() > 0;
List given = new ArrayList();
for (def place : found) {
  if (((Map) place.get(0)).get(place.get(1)) != null) { given.add(place); }
}
if (given.size() == 0) {
  if (sent) { putAnew(ctx, root, null); } else { remove(ctx, root); }
  return;
}
if (given.size() > 1) {
  throw new IllegalArgumentException(params.what + ': expected one value, got ' + given.size()
    + ', in several places of the document');
}
Map holder = (Map) given.get(0).get(0);
String name = (String) given.get(0).get(1);
def values = holder.get(name);
int dims = (int) params.dims;
if (values instanceof String) {
  List packed = unpacked((String) values);
  if (packed == null || packed.size() != dims) {
    throw new IllegalArgumentException(params.what + ': expected a list of ' + dims
      + ' numbers, or the base64 of as many float32, got text');
  }
  values = packed;
  holder.put(name, packed);
}
if (!(values instanceof List)) {
  throw new IllegalArgumentException(params.what + ': expected a list of ' + dims + ' numbers');
}
List v = (List) values;
if (v.size() != dims) {
  throw new IllegalArgumentException(
    params.what + ': expected ' + dims + ' dimensions, got ' + v.size());
}
double[] x = new double[(int) params.padded];
double square = 0.0;
for (int i = 0; i < dims; ++i) {
  def number = v.get(i);
  if (!(number instanceof Number)) {
    throw new IllegalArgumentException(
      params.what + ': expected ' + dims + ' numbers, got another thing at position ' + i);
  }
  float f = ((Number) number).floatValue();
  if (Float.isNaN(f) || Float.isInfinite(f)) {
    throw new IllegalArgumentException(
      params.what + ': expected finite float32 numbers, got ' + number + ' at position ' + i);
  }
  x[i] = (double) f;
  square += x[i] * x[i];
}
if (square == 0.0) {
  throw new IllegalArgumentException(params.what
    + ': a zero vector has no direction, so no cosine; leave the field out instead');
}
double norm = Math.sqrt(square);
if (norm > (double) Float.MAX_VALUE) {
  throw new IllegalArgumentException(params.what + ': its length, ' + norm
    + ', is too large for float32; scale the vector');
}
if (params.is_unit && Math.abs(norm - 1.0) > (double) params.rounding) {
  List scaled = new ArrayList();
  square = 0.0;
  for (int i = 0; i < dims; ++i) {
    float f = (float) (x[i] / norm);
    scaled.add(f);
    x[i] = (double) f;
    square += x[i] * x[i];
  }
  holder.put(name, scaled);
}
double len = Math.sqrt(square);
Map hashes = new HashMap();
hashes.put('model', params.model);
List words = new ArrayList();
long word = 0L;
int nBits = (int) params.n_bits;
for (int r = 0; r < nBits; ++r) {
  double offset = (double) params.code_offsets[r];
  double m = dot((String) params.code_rows, r * x.length, x) - offset * len;
  if (m > 0.0) { word |= 1L << (63 - (r % 64)); }
  if (r % 64 == 63 || r == nBits - 1) { words.add(word); word = 0L; }
}
putCode(hashes, words, nBits);
List before = new ArrayList();
places(ctx, root, false, before);
def old = before.size() == 0 ? null : ((Map) before.get(0).get(0)).get(before.get(0).get(1));
boolean stored = Math.abs(norm - 1.0) <= (double) params.tolerance && old instanceof Map;
stored = stored && same(hashes, (Map) old) && old.get('norm') instanceof Number;
List buckets = params.cells ? cellBuckets(x, len, params) : bitBuckets(x, len, params);
hashes.put('bucket', buckets);
if ((boolean) params.has_home) { hashes.put('home', buckets.get(0)); }
if ((int) params.n_directions > 0) { hashes.put((String) params.sketch, sketch(x, len, params)); }
hashes.put('norm', stored ? old.get('norm') : (def) ((float) norm));
putAnew(ctx, root, hashes);
"""
