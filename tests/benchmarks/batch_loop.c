/* The certified search for the REML estimate of tau2, set by set, in plain C: the yardstick of the batch engine.
   The arithmetic is that of metapeer/pooling/batch_compiled.py; sums and means of the final weights come with it.
   Compiled by the benchmark: cc -O3 -march=native -ffast-math -fno-finite-math-only -shared -fPIC. */
#include <math.h>

#define NODES 6
#define STACK 256

typedef struct { double rise, fall, down, up; } parts;

static parts score(const double *r, const double *v, int k, double tau2, double *w) {
    double s1 = 0, s2 = 0, s3 = 0, wr = 0, rise = 0, down = 0, through = 0;
    for (int i = 0; i < k; i++) {
        double x = 1 / (v[i] + tau2);
        w[i] = x; s1 += x; s2 += x * x; s3 += x * x * x; wr += x * r[i];
    }
    double mean = wr / s1;
    for (int i = 0; i < k; i++) {
        double u = w[i] * (r[i] - mean);
        rise += u * u; through += w[i] * u; down += w[i] * u * u;
    }
    double ratio = s2 / s1;
    parts p = {rise, s1 - ratio, 2 * (down - through * through / s1), s2 - 2 * s3 / s1 + ratio * ratio};
    return p;
}

static double root(const double *r, const double *v, int k, double low, double high, double tau2, double blur, double *w) {
    for (int step = 0; step < 200; step++) {
        parts p = score(r, v, k, tau2, w);
        double value = p.rise - p.fall, slope = p.up - p.down;
        if (value > 0) low = tau2; else high = tau2;
        double proposed = slope < 0 ? tau2 - value / slope : INFINITY, enough = 1e-9 * (tau2 + blur);
        if (!(low <= proposed && proposed <= high)) { proposed = 0.5 * (low + high); enough = 2.2e-16 * blur; }
        if (fabs(proposed - tau2) <= enough || high - low <= 8.8e-16 * high) return proposed;
        tau2 = proposed;
    }
    return NAN;
}

static double height(const double *r, const double *v, int k, double tau2, double *w) {
    double s1 = 0, wr = 0, logs = 0, q = 0;
    for (int i = 0; i < k; i++) { w[i] = 1 / (v[i] + tau2); s1 += w[i]; wr += w[i] * r[i]; logs += log(w[i]); }
    for (int i = 0; i < k; i++) q += w[i] * (r[i] - wr / s1) * (r[i] - wr / s1);
    return 0.5 * (logs - q - log(s1));
}

/* out: n rows of tau2, estimate, standard error, Hartung-Knapp q, Q */
void fit_all(long n, int k, const double *yi, const double *vi, double *out) {
    double r[1024], w[1024];
    static double ends[STACK][2];
    static parts sides[STACK][2];
    for (long row = 0; row < n; row++) {
        const double *y = yi + row * k, *v = vi + row * k;
        double mean = 0, s = 0, smallest = INFINITY, largest = 0, first = INFINITY, last = -INFINITY;
        for (int i = 0; i < k; i++) mean += y[i];
        mean /= k;
        for (int i = 0; i < k; i++) {
            r[i] = y[i] - mean; s += r[i] * r[i];
            smallest = fmin(smallest, v[i]); largest = fmax(largest, v[i]);
            first = fmin(first, r[i]); last = fmax(last, r[i]);
        }
        double df = k - 1.0, best = 0, best_height = -INFINITY;
        double upper = (s + sqrt(s * s + 4 * df * s * (largest - smallest))) / (2 * df) - smallest;
        upper = fmin(upper, 0.5 * (last - first) * (last - first) - smallest);
        if (upper > 0) {
            upper *= 1 + 1e-6;
            double span = log1p(upper / smallest), low = 0;
            parts before = score(r, v, k, 0, w);
            int found = before.rise <= before.fall;
            for (int step = 1; step < NODES; step++) {
                double high = smallest * expm1(span * step / (NODES - 1));
                parts after = score(r, v, k, high, w);
                int depth = 1;
                ends[0][0] = low; ends[0][1] = high; sides[0][0] = before; sides[0][1] = after;
                while (depth > 0) {
                    depth--;
                    double p = ends[depth][0], q = ends[depth][1];
                    parts a = sides[depth][0], b = sides[depth][1];
                    if (a.rise < b.fall || b.rise > a.fall) continue;
                    if (b.down > a.up) {
                        double left = a.rise - a.fall, right = b.rise - b.fall;
                        if (left > 0 && right <= 0) {
                            double peak = root(r, v, k, p, q, p + (q - p) * left / (left - right), smallest, w);
                            if (found > 0) {
                                if (found == 1) best_height = height(r, v, k, best, w);
                                double rival = height(r, v, k, peak, w);
                                if (rival > best_height) { best = peak; best_height = rival; }
                            } else best = peak;
                            found++;
                        }
                    } else if (a.down >= b.up && depth + 2 < STACK) {
                        double middle = sqrt((p + smallest) * (q + smallest)) - smallest;
                        parts m = score(r, v, k, middle, w);
                        ends[depth][0] = p; ends[depth][1] = middle; sides[depth][0] = a; sides[depth][1] = m; depth++;
                        ends[depth][0] = middle; ends[depth][1] = q; sides[depth][0] = m; sides[depth][1] = b; depth++;
                    }
                }
                low = high; before = after;
            }
        }
        double s1 = 0, wr = 0, q = 0, c1 = 0, cr = 0, cq = 0;
        for (int i = 0; i < k; i++) { w[i] = 1 / (v[i] + best); s1 += w[i]; wr += w[i] * r[i]; c1 += 1 / v[i]; cr += r[i] / v[i]; }
        for (int i = 0; i < k; i++) {
            q += w[i] * (r[i] - wr / s1) * (r[i] - wr / s1);
            cq += (r[i] - cr / c1) * (r[i] - cr / c1) / v[i];
        }
        double *o = out + 5 * row;
        o[0] = best; o[1] = mean + wr / s1; o[2] = 1 / sqrt(s1); o[3] = q / df; o[4] = cq;
    }
}
