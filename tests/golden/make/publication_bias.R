# Reference numbers for publication bias that base R, metafor and robumeta can make; run in tests/golden.
#   weighted least squares, unrestricted (lm), of all studies and of the adequately powered ones
#   p-curve: Stouffer tests and power from R's noncentral chi-squared
#   Mathur & VanderWeele: robumeta's weighted means with tau2 from a tightly converged REML
library(metafor)
library(robumeta)
library(jsonlite)

sets <- list(
  raudenbush = dat.raudenbush1985[, c("yi", "vi")],
  bangert = dat.bangertdrowns2004[, c("yi", "vi")],
  assink = dat.assink2016[, c("study", "yi", "vi")],
  bcg = as.data.frame(escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg))[, c("yi", "vi")]
)
out <- list()
for (name in names(sets)) {
  d <- sets[[name]]
  d$yi <- as.numeric(d$yi)
  study <- if (is.null(d$study)) seq_len(nrow(d)) else d$study
  sei <- sqrt(d$vi)

  wls <- function(rows) {
    s <- coef(summary(lm(yi ~ 1, weights = 1 / vi, data = d[rows, ])))
    as.numeric(s)
  }
  all <- wls(rep(TRUE, nrow(d)))
  adequate <- sei <= abs(all[1]) / (qnorm(.975) + qnorm(.8))
  waap <- if (sum(adequate) >= 2) wls(adequate) else NULL

  z <- abs(d$yi) / sei
  p <- 2 * pnorm(-z)
  z5 <- z[p < .05]
  z25 <- z[p < .025]
  ncp <- function(power) uniroot(function(n) pchisq(qchisq(.95, 1), 1, ncp = n) - (1 - power), c(0, 1000), tol = 1e-14)$root
  stouffer <- function(pp) sum(qnorm(pmin(pmax(pp, 2.2e-16), 1 - 2.2e-16))) / sqrt(length(pp))
  prop25 <- 1 - pchisq(qchisq(.975, 1), 1, ncp = ncp(1 / 3))
  fit <- function(power) stouffer((pchisq(z5^2, 1, ncp = ncp(power)) - (1 - power)) / power)
  power <- function(target) {
    f <- function(x) fit(x) - target
    if (f(.0501) < 0) return(.05)
    if (f(.99) > 0) return(.99)
    uniroot(f, c(.0501, .99), tol = 1e-12)$root
  }
  pc <- list(
    k = length(z5), small = length(z25),
    right_full = sum(qnorm(2 * pnorm(-z5) / .05)) / sqrt(length(z5)),
    right_half = sum(qnorm(2 * pnorm(-z25) / .025)) / sqrt(length(z25)),
    flat_full = stouffer(3 * (pchisq(z5^2, 1, ncp = ncp(1 / 3)) - 2 / 3)),
    flat_half = stouffer((pchisq(z25^2, 1, ncp = ncp(1 / 3)) - (1 - prop25)) / prop25),
    right_binomial = 1 - pbinom(length(z25) - 1, length(z5), .5),
    flat_binomial = pbinom(length(z25), length(z5), 3 * prop25),
    power = c(power(0), power(qnorm(.95)), power(qnorm(.05)))
  )

  sign <- if (name == "bcg") -1 else 1
  y <- sign * d$yi
  tau2 <- rma(y, d$vi, control = list(threshold = 1e-13, maxiter = 100000))$tau2
  affirmative <- y / sei > qnorm(.975)
  robust <- list()
  for (eta in c(1, 2, 10, 50)) {
    dd <- data.frame(y = y, vi = d$vi, study = study, w = ifelse(affirmative, 1, eta) / (d$vi + tau2))
    r <- robu(y ~ 1, data = dd, studynum = study, var.eff.size = vi, userweights = w, small = TRUE)$reg_table
    robust[[length(robust) + 1]] <- c(eta, r$b.r, r$SE, r$dfs, r$CI.L, r$CI.U, r$prob)
  }
  out[[name]] <- list(yi = d$yi, vi = d$vi, study = study, wls = all, waap = waap, adequate = sum(adequate), p_curve = pc,
    sign = sign, tau2 = tau2, robust = robust)
}
source <- list(R = R.version.string, metafor = as.character(packageVersion("metafor")),
  robumeta = as.character(packageVersion("robumeta")), metadat = as.character(packageVersion("metadat")),
  call = "summary(lm(yi ~ 1, weights = 1/vi)); robu(y ~ 1, userweights = w, var.eff.size = vi, small = TRUE); pchisq with ncp",
  columns = list(wls = c("estimate", "se", "t", "p"), robust = c("eta", "estimate", "se", "df", "low", "high", "p")))
write(toJSON(list(source = source, sets = out), digits = 17, auto_unbox = TRUE, null = "null"), "publication_bias.json")
