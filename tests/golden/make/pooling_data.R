# The data sets that the pooling tests share, as effects yi and sampling variances vi.
#
#   Rscript pooling_data.R DIRECTORY        (needs the R packages metafor and metadat)
#
# writes pooling_data.json into DIRECTORY. Rows without an effect are left out, as rma() does. The made-up sets at the
# top are small enough to follow by hand: two and three studies, agreement, and effects far apart with variances from
# .001 to 30.
suppressMessages({library(metafor); library(metadat)})
out <- commandArgs(trailingOnly=TRUE)[1]
PREP <- c(
  k2='D <- data.frame(yi=c(.3,-.1), vi=c(.02,.05))',
  k3='D <- data.frame(yi=c(.3,.9,.5), vi=c(.02,.05,.001))',
  homog='D <- data.frame(yi=c(.30,.31,.29,.32,.30), vi=c(.02,.05,.01,.03,.08))',
  extreme='D <- data.frame(yi=c(10,-12,55,3,80,-40), vi=c(.02,5,.001,30,8,.1))',
  hine_rd='D <- escalc(measure="RD", ai=ai, n1i=n1i, ci=ci, n2i=n2i, data=dat.hine1989)',
  hart_irr='D <- escalc(measure="IRR", x1i=x1i, t1i=t1i, x2i=x2i, t2i=t2i, data=dat.hart1999)',
  berkey_al='D <- subset(dat.berkey1998, outcome=="AL")',
  bonett_abt='D <- escalc(measure="ABT", ai=ai, mi=mi, ni=ni, data=dat.bonett2010)',
  bcg_rr='D <- escalc(measure="RR", ai=tpos, bi=tneg, ci=cpos, di=cneg, data=dat.bcg)',
  bcg_or='D <- escalc(measure="OR", ai=tpos, bi=tneg, ci=cpos, di=cneg, data=dat.bcg)',
  bcg_rd='D <- escalc(measure="RD", ai=tpos, bi=tneg, ci=cpos, di=cneg, data=dat.bcg)',
  pritz_plo='D <- escalc(measure="PLO", xi=xi, ni=ni, data=dat.pritz1997)',
  pritz_pft='D <- escalc(measure="PFT", xi=xi, ni=ni, data=dat.pritz1997)',
  raudenbush='D <- dat.raudenbush1985',
  cohen_z='D <- escalc(measure="ZCOR", ri=ri, ni=ni, data=dat.cohen1981)',
  viechtbauer_or='D <- escalc(measure="OR", ai=xTi, n1i=nTi, ci=xCi, n2i=nCi, add=1/2, to="all", data=dat.viechtbauer2021)',
  yusuf_peto='D <- escalc(measure="PETO", ai=ai, n1i=n1i, ci=ci, n2i=n2i, data=dat.yusuf1985, subset=table=="6")',
  baskerville='D <- escalc(yi=smd, sei=se, data=dat.baskerville2012)',
  collins_or='D <- escalc(measure="OR", ai=b.xti, n1i=nti, ci=b.xci, n2i=nci, data=dat.collins1985a)',
  bangert='D <- dat.bangertdrowns2004',
  konstantopoulos='D <- dat.konstantopoulos2011',
  dong_plo='D <- escalc(measure="PLO", xi=death, ni=randomized, data=dat.dong2013)',
  assink='D <- dat.assink2016',
  mcdaniel_z='D <- escalc(measure="ZCOR", ri=ri, ni=ni, data=dat.mcdaniel1994)')
GROUP <- c(bcg_rr="alloc", bcg_or="alloc", raudenbush="setting", cohen_z="control", mcdaniel_z="type", bonett_abt="caregivers")

number <- function(v) { s <- sprintf("%.15g", v); ifelse(as.numeric(s) == v, s, sprintf("%.17g", v)) }
string <- function(s) ifelse(is.na(s), "null", paste0('"', gsub('"', '\\"', s, fixed=TRUE), '"'))
lines <- character(0)
for (name in names(PREP)) {
  suppressWarnings(eval(parse(text=PREP[[name]])))
  D <- as.data.frame(D); D <- D[!is.na(D$yi) & !is.na(D$vi), ]
  fields <- c(paste0('"prep":', string(PREP[[name]])), paste0('"yi":[', paste(number(as.numeric(D$yi)), collapse=","), "]"), paste0('"vi":[', paste(number(as.numeric(D$vi)), collapse=","), "]"))
  if (name %in% names(GROUP)) fields <- c(fields, paste0('"group":', string(GROUP[[name]])), paste0('"levels":[', paste(string(as.character(D[[GROUP[[name]]]])), collapse=","), "]"))
  lines <- c(lines, paste0(string(name), ": {", paste(fields, collapse=","), "}"))
}
writeLines(c(paste0('{"source": {"R":', string(R.version.string), ',"metafor":', string(as.character(packageVersion("metafor"))), ',"metadat":', string(as.character(packageVersion("metadat"))),
  ',"script":"make/pooling_data.R","call":"library(metafor); eval(prep); D$yi, D$vi"},'), '"sets": {', paste(lines, collapse=",\n"), "}}"), file.path(out, "pooling_data.json"))
