# Reference numbers for sequential methods: Lan-DeMets boundaries from multivariate normal probabilities (mvtnorm, Miwa's
# algorithm), and looks pooled by metafor. Writes sequential.json beside the folder of this script.
# Run: Rscript tests/golden/make/sequential.R
suppressMessages({library(metafor); library(mvtnorm); library(jsonlite)})

spend <- function(t, e, type, g) switch(type,
  OBF = 2 * pnorm(qnorm(e / 2) / sqrt(t)), Pocock = e * log(1 + (exp(1) - 1) * t),
  HSD = e * (1 - exp(-g * t)) / (1 - exp(-g)))

# Two-sided: P(some |z| beyond its boundary until look k) is twice what one side may spend.
bounds <- function(t, alpha, type, g) {
  b <- numeric(0)
  for (k in seq_along(t)) {
    may <- 2 * spend(t[k], alpha / 2, type, g)
    R <- outer(t[1:k], t[1:k], function(a, b) sqrt(pmin(a, b) / pmax(a, b)))
    stay <- function(x) if (k == 1) 1 - 2 * pnorm(-x) else
      pmvnorm(lower = -c(b, x), upper = c(b, x), corr = R, algorithm = Miwa(steps = 2048))[1]
    b <- c(b, uniroot(function(x) stay(x) - (1 - may), c(0.5, 9), tol = 1e-11)$root)
  }
  b
}
designs <- list(list(t = c(0.3, 0.45, 0.8, 1), alpha = 0.05, type = "OBF", g = -4),
                list(t = c(0.25, 0.7, 1), alpha = 0.01, type = "OBF", g = -4),
                list(t = c(0.1, 0.45, 0.5, 1), alpha = 0.05, type = "Pocock", g = -4),
                list(t = c(0.2, 0.5, 0.75, 1), alpha = 0.05, type = "HSD", g = -4),
                list(t = c(0.2, 0.5, 0.75, 1), alpha = 0.1, type = "HSD", g = 1),
                list(t = c(0.4, 0.9, 1.3), alpha = 0.05, type = "OBF", g = -4))
boundaries <- lapply(designs, function(d) {
  # From the required information on everything may be spent.
  s <- spend; spend <<- function(t, e, type, g) if (t >= 1) e else s(t, e, type, g)
  b <- bounds(d$t, d$alpha, d$type, d$g); spend <<- s
  list(fractions = d$t, alpha = d$alpha, spending = d$type, gamma = d$g, boundaries = b)
})

yi <- c(0.35, -0.05, 0.62, 0.12, 0.41, 0.22, 0.71, 0.05)
vi <- c(0.040, 0.025, 0.060, 0.012, 0.030, 0.018, 0.055, 0.009)
tight <- list(threshold = 1e-14, maxiter = 10000, stepadj = 0.5)
fits <- lapply(2:8, function(k) rma(yi[1:k], vi[1:k], method = "REML", control = tight))
last <- fits[[7]]
D2 <- 100 * (1 - sum(1 / (vi + last$tau2)) / sum(1 / vi))
prior <- list(tau2 = 0.03, trials = 5)
eta <- prior$trials / 2 + 1
lambda <- prior$trials * prior$tau2 / 2
score <- lapply(2:8, function(k) {
  tau2 <- rma(yi[1:k], vi[1:k], method = "DL")$tau2
  tau2 <- (2 * lambda + k * tau2) / (2 * eta + k - 2)
  w <- 1 / (vi[1:k] + tau2)
  list(tau2 = tau2, Z = sum(w * yi[1:k]), V = sum(w))
})
source <- list(call = "Rscript tests/golden/make/sequential.R", R = as.character(getRversion()),
               metafor = as.character(packageVersion("metafor")), mvtnorm = as.character(packageVersion("mvtnorm")))
out <- list(source = source, boundaries = boundaries,
            trials = list(yi = yi, vi = vi),
            looks = lapply(fits, function(f) list(estimate = f$b[1], se = f$se, z = f$zval, tau2 = f$tau2)),
            D2 = D2, I2 = last$I2, prior = prior, score = score)
here <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
writeLines(toJSON(out, auto_unbox = TRUE, digits = 15, pretty = FALSE), file.path(dirname(here), "..", "sequential.json"))
