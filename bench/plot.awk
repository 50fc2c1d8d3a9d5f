# plot.awk -v series=NAME scale.csv: one series as an SVG file. Both axes are logarithmic; a line for each way, through the medians; a
# stroke from the least to the greatest sample of each point.
BEGIN {
  FS = ","
  width = 640; height = 400; left = 70; right = 120; top = 40; bottom = 50
  colour["native"] = "#555555"; colour["gabion"] = "#1f77b4"; colour["all"] = "#d62728"
}
NR > 1 && $1 == series {
  n[$2, $3]++
  sample[$2, $3, n[$2, $3]] = $5
  if (!(($2) in seen)) { seen[$2] = 1; x[++points] = $2 }
  if (!(($3) in ways)) { ways[$3] = 1; way[++nways] = $3 }
  if (low == "" || $5 < low) low = $5
  if ($5 > high) high = $5
}
function log10(v) { return log(v) / log(10) }
function floor(v,   i) { i = int(v); return i > v ? i - 1 : i }
function px(v) { return left + (points > 1 ? (log10(v) - log10(x[1])) / (log10(x[points]) - log10(x[1])) : 0.5) * (width - left - right) }
function py(v) { return height - bottom - (log10(v) - lowest) / (highest - lowest) * (height - top - bottom) }
function sorted(a, w,   i, k, t) {
  for (i = 1; i <= n[a, w]; i++) v[i] = sample[a, w, i]
  for (i = 1; i <= n[a, w]; i++)
    for (k = i + 1; k <= n[a, w]; k++)
      if (v[k] < v[i]) { t = v[i]; v[i] = v[k]; v[k] = t }
}
END {
  if (!points) exit 1
  lowest = floor(log10(low)); highest = floor(log10(high)) + 1
  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n", width, height
  printf "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<text x=\"%d\" y=\"20\" font-size=\"14\">%s: nanoseconds for an open and close</text>\n", left, series
  for (d = lowest; d <= highest; d++) {
    y = py(10 ^ d)
    printf "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#dddddd\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%d</text>\n", left, width - right, y, y, left - 6, y + 4, 10 ^ d
  }
  for (i = 1; i <= points; i++)
    printf "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", px(x[i]), height - bottom + 18, x[i]
  printf "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", (left + width - right) / 2, height - 10, series
  for (k = 1; k <= nways; k++) {
    w = way[k]; line = ""
    for (i = 1; i <= points; i++) {
      if (!n[x[i], w]) continue
      sorted(x[i], w)
      m = v[int((n[x[i], w] + 1) / 2)]
      line = line sprintf("%.1f,%.1f ", px(x[i]), py(m))
      printf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", px(x[i]), px(x[i]), py(v[1]), py(v[n[x[i], w]]), colour[w]
      last = py(m)
    }
    printf "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/><text x=\"%d\" y=\"%.1f\" fill=\"%s\">%s</text>\n", line, colour[w], width - right + 8, last + 4, colour[w], w == "all" ? "--mediate all" : w
  }
  print "</svg>"
}
