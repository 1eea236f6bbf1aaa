# Power of meta-analysis: base R's noncentral distributions and integrate(), clubSandwich's degrees of freedom, and
# numbers that R packages print in their documentation. Run as: Rscript tests/golden/make/power.R > tests/golden/power.json
suppressMessages({library(metafor); library(clubSandwich)})
number <- function(x) trimws(formatC(x, digits = 17, format = "g"))
cases <- expand.grid(k = c(2, 3, 5, 10, 40), effect = c(0, 0.1, 0.3, 0.8), v = c(0.02, 0.1), tau2 = c(0, 0.02, 0.2))
normal <- function(k, effect, v, tau2, alpha) {
  total <- v + tau2; c <- qnorm(1 - alpha / 2); d <- effect / sqrt(total / k); df <- k - 1
  reject <- function(r) pnorm(d - c * sqrt(r)) + pnorm(-d - c * sqrt(r))
  low <- v / total
  f <- function(r) reject(r) * dchisq(r * df, df) * df
  above <- sum(sapply(split_at(low, df), function(p) integrate(f, p[1], p[2], rel.tol = 1e-11, abs.tol = 1e-13)$value))
  pchisq(low * df, df) * reject(low) + above
}
split_at <- function(low, df) {
  ends <- sort(unique(c(low, low + c(0.01, 0.1, 0.5, 1, 2, 4), qchisq(1 - 1e-15, df) / df + low)))
  lapply(seq_len(length(ends) - 1), function(i) ends[i:(i + 1)])
}
student <- function(k, effect, v, tau2, alpha) {
  c <- qt(1 - alpha / 2, k - 1); d <- effect / sqrt((v + tau2) / k)
  pt(c, k - 1, d, lower.tail = FALSE) + pt(-c, k - 1, d)
}
z <- mapply(normal, cases$k, cases$effect, cases$v, cases$tau2, 0.05)
hk <- mapply(student, cases$k, cases$effect, cases$v, cases$tau2, 0.05)
rows <- function(frame) {
  cells <- sapply(names(frame), function(n) paste0('"', n, '": ', number(frame[[n]])))
  paste0("    {", apply(cells, 1, paste, collapse = ", "), "}", collapse = ",\n")
}
groups <- expand.grid(k = c(3, 8, 20), m = c(1, 2, 4), lambda = c(0.5, 4, 20))
groups$df <- groups$k * (groups$m + 1) - groups$m - 1
crit <- qf(0.95, groups$m, groups$df)
groups$F <- pf(crit, groups$m, groups$df, ncp = groups$lambda, lower.tail = FALSE)
groups$chi2 <- pchisq(qchisq(0.95, groups$m), groups$m, ncp = groups$lambda, lower.tail = FALSE)

cluster <- function(kj, vj, tau2, omega2, rho) {
  study <- rep(seq_along(kj), kj); es <- seq_along(study); v <- rep(vj, kj)
  V <- as.matrix(Matrix::bdiag(lapply(seq_along(kj), function(j) vj[j] * (rho + (1 - rho) * diag(kj[j])))))
  set.seed(1); y <- rnorm(length(es))
  fit <- suppressWarnings(rma.mv(y, V, random = ~ 1 | study/es, sigma2 = c(tau2, omega2)))
  c(df = coef_test(fit, vcov = "CR2", cluster = study)$df_Satt, se = fit$se)
}
settings <- list(
  list(kj = c(1, 2, 3, 4, 5), vj = c(0.05, 0.1, 0.04, 0.2, 0.08), tau2 = 0.03, omega2 = 0.02, rho = 0.6),
  list(kj = c(3, 3, 3, 3, 3, 3, 3, 3), vj = rep(0.1, 8), tau2 = 0.05, omega2 = 0.01, rho = 0.8),
  list(kj = c(1, 8, 2, 2, 1, 6, 3, 1, 1, 4), vj = seq(0.02, 0.2, length.out = 10), tau2 = 0.01, omega2 = 0.05, rho = 0.2))
dependent <- sapply(settings, function(s) {
  found <- do.call(cluster, s)
  lambda <- 0.25 / found["se"]; c <- qt(0.975, found["df"])
  power <- pt(c, found["df"], lambda, lower.tail = FALSE) + pt(-c, found["df"], lambda)
  sprintf('    {"kj": [%s], "vj": [%s], "tau2": %s, "omega2": %s, "rho": %s, "df": %s, "se": %s, "power": %s}',
          paste(s$kj, collapse = ", "), paste(number(s$vj), collapse = ", "), s$tau2, s$omega2, s$rho,
          number(found["df"]), number(found["se"]), number(power))
})
cases$z <- z; cases$HK <- hk
cat('{\n  "source": {"call": "tests/golden/make/power.R", "R": "', R.version$major, ".", R.version$minor,
    '", "metafor": "', as.character(packageVersion("metafor")), '", "clubSandwich": "',
    as.character(packageVersion("clubSandwich")), '"},\n', sep = "")
cat('  "mean": [\n', rows(cases), '\n  ],\n', sep = "")
cat('  "between": [\n', rows(groups), '\n  ],\n', sep = "")
cat('  "dependent": [\n', paste(dependent, collapse = ",\n"), '\n  ],\n', sep = "")
cat('  "printed": {
    "metapower": {"source": "vignette of R package metapower 0.2.2: mpower(effect_size=0.2, study_size=20, k=10, es_type=\\"d\\")",
      "fixed": 0.2917841, "random": {"0": 0.2478379, "25": 0.2328637, "50": 0.1982394, "75": 0.1446749}},
    "metapower_readme": {"source": "README of metapower 0.1: mpower(effect_size=0.25, sample_size=20, k=50, es_type=\\"d\\")", "fixed": 0.999846},
    "POMADE": {"source": "reference page of R package POMADE: mdes_MADE(J=30, tau=0.05, omega=0.02, rho=0.2, sigma2_dist=4/100, n_ES_dist=6)", "mdes": 0.0667},
    "metameta": {"source": "README of R package metameta: mapower_se(dat_ooi, observed_es=0.178)",
      "sei": [0.479, 0.380, 0.319, 0.368, 0.383, 0.336, 0.346, 0.279, 0.222],
      "0.178": [0.06596450, 0.07549262, 0.08636394, 0.07720550, 0.07508974, 0.08272160, 0.08082964, 0.09777789, 0.12627341],
      "0.1": [0.05500761, 0.05797045, 0.06133177, 0.05850133, 0.05784552, 0.06020765, 0.05962295, 0.06484272, 0.07355100],
      "0.2": [0.07020009, 0.08229066, 0.09610698, 0.08446626, 0.08177903, 0.09147592, 0.08907113, 0.11062850, 0.14689796]}
  }\n}\n')
