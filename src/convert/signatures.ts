import type { Signature } from './signature.js';

/** Signatures of all networks of the registry. Made by scripts/signatures.ts; do not edit. */
export const SIGNATURES: readonly Signature[] = [
  {
    archs: [['resnet18', 1000]],
    rows: 1,
    digest: '4112a62d411d3db1',
    shapes: '5054cb60d082d67b',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '03b2a606100307d5f90b6c431077e715360617ef051ccc101f45141fd387227adb2cfcba2dda2434f66339d25939f4da3c821240068840a693487b004a02144a09874bbf7e4d902b4dd91152c9125421095760f758569f58b9cb59c84f5baac9660cae6a2a806d22b375c26776f40a78556a7cc6ba859ae3',
  },
  {
    archs: [['resnet34', 1000]],
    rows: 1,
    digest: '7fdba4de67815e2a',
    shapes: '6c253da0286c07ff',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '03b2a606100307d5f90952e90aee300b3f3b0b6c430c44fe1077e714936115360617ef051ab4fc1ccc101f45141fd387227adb24c759252eca27ac8729a2f32cfcba2dda2430916534f6633516153950e139d25939f4da3c82123d93723f405b40068840a6934330cb47db66487b004a02144a09874bbf7e',
  },
  {
    archs: [
      ['resnet50', 1000],
      ['resnet50_long', 1000],
    ],
    rows: 1,
    digest: 'ba6d26df246df706',
    shapes: 'b19f600e3da423c9',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '03b2a60444b405dc9806100306536206911c06917006e8ce07ae6607d5f908ceeb0952e909e7380aee300b3f3b0b6c430c44fe0db8bf102e641077e7133e3a14936115360616e13a17002717ef051ab4fc1f4514227adb24c75927ac8728c17029a2f32cfcba2f23b630916532207f34f66336ff813944eb',
  },
  {
    archs: [['resnet101', 1000]],
    rows: 1,
    digest: 'f5024d8d71c14a53',
    shapes: '63ccb9a1baa1c8a6',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '00d1fd01180c0133f002a1aa03b2a603e09a0444b404a0d905dc9806100306536206812006911c06917006e8ce071a9807ae6607ba8b07d5f908ceeb0952e909e7380aee300b3f3b0b6c430b7caf0c44fe0c52530db8bf102e641077e710be8a10f94512bbfc133e3a136ad51493611529f715360615713d',
  },
  {
    archs: [
      ['resnet152', 1000],
      ['resnet152_long', 1000],
    ],
    rows: 1,
    digest: 'd0e78fb310aeb8e9',
    shapes: 'd5b3ba21f1c0292d',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '00d1fd01180c0133f002a1aa03b2a603e09a0436980444b404785e04a0d905523305dc9806100306106006536206812006911c06917006e8ce06f3ef071a9807ae6607ba8b07d5f907dbc208bd1108ceeb0952e909e7380aee300afe020b1d270b3f3b0b6c430b7caf0c44fe0c52530db8bf0f11820f629c',
  },
  {
    archs: [['resnext50_32x4d', 1000]],
    rows: 1,
    digest: 'b83ece552f1178c0',
    shapes: 'e27c7bbcfd25437f',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '00ba2a01847c03ff110444b404651905dc98062322069170086bf008ceeb09e7380cfa520eb5f70ff504102e64126a4212b67212c4e61376ef142e991603f017002717ef051d0ca31ec2cc21f8e02567722706eb28c17028dd422a59912c1aa92eac3d2f23b630438d32a02e36ff813944eb39e63239f8c4',
  },
  {
    archs: [
      ['densenet121', 1000],
      ['densenet121_long', 1000],
    ],
    rows: 1,
    digest: '00a9cac155c12f95',
    shapes: '599a3feec0e25fd5',
    first: 'features.conv0.linear.weight',
    head: 'classifier.linear.weight',
    sketch:
      '002129003b18020455021cd20340ec04063904303e04d31e05fa94064c9f065a42065f66071892072b7308549c086846087bf0088ec508901809461d09afed09d9b80a2d1b0a3c2f0afd500b86c00c3b210c64a30c65150c6a850c9a320eddc50ef8f3106be7111f4711989b120c72120e981224ea12a101',
  },
  {
    archs: [['densenet161', 1000]],
    rows: 1,
    digest: 'e303b0a590d450a6',
    shapes: 'c3ba233d5171cdf8',
    first: 'features.conv0.linear.weight',
    head: 'classifier.linear.weight',
    sketch:
      '004b3200c31b0133db01498b015dc6017792017ab301a28e0208ac0218ab024f5102a84a03c0d6040f2c0493d604b948050c2b06b603079d5709328e09c82509d69609d6c90b4ea30b7db80ba2d90c04200c980c0d4c140d93a40db2fb0ea0360ebed50f4b1b0f77901042dc10bc6910c11b1135a0115fd2',
  },
  {
    archs: [['densenet169', 1000]],
    rows: 1,
    digest: '1b59605fa5a62337',
    shapes: '85053be20590bcd0',
    first: 'features.conv0.linear.weight',
    head: 'classifier.linear.weight',
    sketch:
      '000eb6002129003b1801af19020455021cd202824002e6e80340ec04063904303e0494d005d52c05fa94064c9f065a42065f66071892072b7308549c086846087bf0088ec508901809461d09afed09d9b80a2d1b0a3c2f0a958a0b86c00c28020c64a30c6a850eddc50ef8f30f92f6106be7111f47113acd',
  },
  {
    archs: [['densenet201', 1000]],
    rows: 1,
    digest: '9d4567d88eb19d8a',
    shapes: '4fb3924c78ac188b',
    first: 'features.conv0.linear.weight',
    head: 'classifier.linear.weight',
    sketch:
      '000eb6002129003b1801af1901fe5a020455021cd202824002d4b30340ec03a1b204063904303e04e95405d52c05fa94064c9f065a42065f6606715a071892072b730760a108549c086846087bf0088ec508901809461d09afed09d9b809fce00a2d1b0a3c2f0a4e690a6ae90a958a0b1de70b43910b86c0',
  },
  {
    archs: [['vgg11_bnu', 1000]],
    rows: 1,
    digest: '57552436b2bcc861',
    shapes: '347bd07c76ad091a',
    first: 'features.0.linear.weight',
    head: 'classifier.2.linear.weight',
    sketch:
      '14548e1be7ae290c5729c3d83482ce3a673c3e69b23f05913f7eeb46b085493e424ca3554cb75b538ba95505625661fd5fb65d6086426a2ff66d7db270ef1b718e45759c087d6ff4860efba5f729c76c36c9a820d7752fe3f32ff0d713f7a5bcfa0a4efb98e5fdf0f6',
  },
  {
    archs: [['convnext_tiny_bnu', 1000]],
    rows: 1,
    digest: 'b334e55789797100',
    shapes: 'fdaa96c913f52a3e',
    first: 'features.0.linear.weight',
    head: 'classifier.1.linear.weight',
    sketch:
      '004568006f7a01d3af050bba05383705e80f06f6d307475e075d6c07c86808dcef0959ef09801f0a902c0b90c90c1b3a0e9e7e0f1a4b14bc6b15fd2618af3a18b20019cf4f2343cc25efb026b24329297f29538e2b16f92eb0613155f134984635ec78381d0e382b3c3b511e3c60ee3f031643afe7488951',
  },
  {
    archs: [['convnext_base_bnu', 1000]],
    rows: 1,
    digest: 'b88e130076bd1bff',
    shapes: 'ca2c402abf2b1b4e',
    first: 'features.0.linear.weight',
    head: 'classifier.1.linear.weight',
    sketch:
      '004fab01e6c40298b902a58403da68046c6005a8f80655b20a3a790ad7580ba9360e9e7310b12011c72511ec211312f6139918139f4d14bca6178f4b17a958180c751949511aebe01b4ae71bf5641c6d421db2ca1dc2a21f0ee61f33a82061d520b9122243b3236218242b7a244d3924aff72679b8278a8b',
  },
  {
    archs: [['simple_vit_ti_patch16_224', 1000]],
    rows: 1,
    digest: '370a4c92e5d14782',
    shapes: '5c029b78632b4e1a',
    first: '0.to_patch_embedding.linear.linear.weight',
    head: '0.linear_head.linear.linear.weight',
    sketch:
      '0106aa0446fc0755e30919b70de00c0eff0714a442173cb81aa7f81eea3e2529f8260c3b26592a26cb6f2b316f2ea3793158fa373e6637e8093e5e5c3fbc3642bc7242e8b04561ef473a064983355221a4607eab64e8536526617221f477fabb7ece407f1db5819d3f820c8383c7af8591528e1d859049d6',
  },
  {
    archs: [['simple_vit_s_patch16_224', 1000]],
    rows: 1,
    digest: 'bd181a4c8bd1423e',
    shapes: 'd121b653f67f4dfa',
    first: '0.to_patch_embedding.linear.linear.weight',
    head: '0.linear_head.linear.linear.weight',
    sketch:
      '00d5660653940e9bcd17477b18934d1e06101f3917234cfe28c2a5297c5832631f374e91422b30452303460b4f4b6bce4d33074dd15151781552af1e570ce75b42755c64495ef7cc5ff62e60ea2d69c24b6ab42f6b89af6f54f67409fb742c9b77e9e8788ed47a4f1f7c7f3f7e55507e9f377f08b37f29a7',
  },
  {
    archs: [['simple_vit_b_patch16_224', 1000]],
    rows: 1,
    digest: '0f3f1970ed92496d',
    shapes: '4012137557d55e52',
    first: '0.to_patch_embedding.linear.linear.weight',
    head: '0.linear_head.linear.linear.weight',
    sketch:
      '0009ba005f3b00dcd00342c9036190042b6508cc610d774d0eaf0210a47910e90a19ed2c1c3d701d14ce21039523b84c28250c2c00b92ce4c32e72b832553433749f3a78203d781545371947d8f84c0b5c50797e50e4b651065f51b65d5ec82663cc3664211b6993c4770255790b4079473f80c4ef819fe4',
  },
  {
    archs: [['simple_vit_l_patch16_224', 1000]],
    rows: 1,
    digest: '86f719642cf1bacf',
    shapes: '4431d33843d77fd1',
    first: '0.to_patch_embedding.linear.linear.weight',
    head: '0.linear_head.linear.linear.weight',
    sketch:
      '040a3b049931071c1b0798840832230bea110c91ec0dc0b10eafd211d31812ddb713f4a417367217c3c51ada0d1d7b9624a13128c2ef28e06838081a3d83033e9ad53f75264656ac4c74e95670885a45885ce7a55fe597678f1f68b2686929fe6f7f527004af7925247bd2d27ed4c57faac78235fc83f505',
  },
  {
    archs: [['vitc_ti_patch1_14', 1000]],
    rows: 1,
    digest: '35359ebf2b90dfc2',
    shapes: '6fed751b968937b8',
    first: '0.to_patch_embedding.conv_stem.0.linear.weight',
    head: '0.linear_head.linear.linear.weight',
    sketch:
      '0106aa0446fc0755e30804f70919b70de00c0eff0713f25314a442173cb81aa7f81eea3e2529f826592a26cb6f2b316f2ea3793158fa332eb8373e6637e8093e5e5c42bc7242e8b04561ef473a064983355221a4607eab64e8536526617221f477fabb7ece407f1db5819d3f820c8383c7af8591528e1d85',
  },
  {
    archs: [['vitc_s_patch1_14', 1000]],
    rows: 1,
    digest: '487363a529c615d7',
    shapes: 'f251afce8845bfa5',
    first: '0.to_patch_embedding.conv_stem.0.linear.weight',
    head: '0.linear_head.linear.linear.weight',
    sketch:
      '00d5660e9bcd17477b1759dc18934d1e06101f3917234cfe28c2a5297c5832631f374e91422b30452303460b4f4961fc4b6bce4d33074dd1514ff2a251781552af1e533e3d570ce75b42755c64495ff62e60ea2d69c24b6b89af6f54f67409fb742c9b77e9e8788ed47a4f1f7c7f3f7e55507e9f377f08b3',
  },
  {
    archs: [['vitc_b_patch1_14', 1000]],
    rows: 1,
    digest: 'b6d41549e1b9f46b',
    shapes: 'ba704e4f85de6b1a',
    first: '0.to_patch_embedding.conv_stem.0.linear.weight',
    head: '0.linear_head.linear.linear.weight',
    sketch:
      '0009ba005f3b00dcd00342c9036190042b650d774d0eaf0210a47910e90a19ed2c1c3d701d14ce1e7f4520b80f21039523b84c28250c2c00b92ce4c32e72b832553433749f3a78203d781545371947d8f849b6f04af84b4c0b5c50797e51b65d5418105c7f995ec82663cc3664211b67a74d6993c476a22a',
  },
  {
    archs: [['vitc_l_patch1_14', 1000]],
    rows: 1,
    digest: 'ae94bc39c6263d85',
    shapes: '516d243e181866e8',
    first: '0.to_patch_embedding.conv_stem.0.linear.weight',
    head: '0.linear_head.linear.linear.weight',
    sketch:
      '040a3b049931071c1b0798840832230bea110c91ec0dc0b10eafd211d31813f4a417367217c3c51ada0d1d7b961e7f4520b80f24a13128c2ef28e0682a949f38081a3d83033e9ad53f75264656ac49b6f04af84b4c74e95670885a45885c7f995ce7a55fe597678f1f67a74d6929fe6f7f5276a22a792524',
  },
  {
    archs: [['standard_simple_vit_ti_patch16_224', 1000]],
    rows: 1,
    digest: 'da8f9f599aba8276',
    shapes: '04250fd28342b476',
    first: 'to_patch_embedding.linear.weight',
    head: 'linear_head.linear.weight',
    sketch:
      '01294e01ab0002fadb03140e059ae10a3a750a76920fa22b1638cc232a1d235e0e2495bc28e6052a40aa2ccd2b2cf7602f064e3499873576233585f336f5f038a1dc3a6eeb3ae31b3b69513cc118456a184907e54c11474db8394edb654f42cf4f5f564fbb3452d3605539a658c5f558fcb75e14035e1b1a',
  },
  {
    archs: [['standard_simple_vit_s_patch16_224', 1000]],
    rows: 1,
    digest: '905690c5c54ed3b6',
    shapes: 'd61e87c770c5b40f',
    first: 'to_patch_embedding.linear.weight',
    head: 'linear_head.linear.weight',
    sketch:
      '03cc570420ae05016a059ae106aac907361308ee4609c0e50ae27c0c5e230cd5390ee3810f23910f31c40f4a7114b02f15d24d16e97517b1f0188fc3198ade1a6b611d960c20d5a62737e92ba3da2dafd72de1e73002d136219337de433d2d1f3f894b41dccf4246ca43395a45f0394633fc48b84b4ff04a',
  },
  {
    archs: [['standard_simple_vit_b_patch16_224', 1000]],
    rows: 1,
    digest: '2ab18d8851f0baf6',
    shapes: 'f5962a3617efdf4c',
    first: 'to_patch_embedding.linear.weight',
    head: 'linear_head.linear.weight',
    sketch:
      '00d09f059ae106412007299a0df29a0f6ce810caa814f2b21a1ddc1c1b921ce3561d71041ecb192002bc21bbf925954525b05b27bc3f2a71732c3ebc2d49af3088ef327a833423b03502373589f4374c4d3dc3943fb1754011c942566442e47144533c4476844586d34777bb4911c04a3ccf4c3c2d513719',
  },
  {
    archs: [['standard_simple_vit_l_patch16_224', 1000]],
    rows: 1,
    digest: 'f6d08ce7604345be',
    shapes: 'a2f8b93a1ba18554',
    first: 'to_patch_embedding.linear.weight',
    head: 'linear_head.linear.weight',
    sketch:
      '01a97003574f051650055bb7059740059ae105cc620a38810afb000b15cb0b2ca20c513d0f11d10f4f5312ef9614b10e16568c18073b1b8ea51c80311cbedb219fbf23e43623f9aa24132424690624c9de2583962675ce295c382990dd2a1f862b72d82cab532d50632dbc5c2f22932fb33a318694344f62',
  },
  {
    archs: [['standard_vitc_ti_patch1_14', 1000]],
    rows: 1,
    digest: '11530b3bbe3d290e',
    shapes: '0bde714d9cbff1c6',
    first: 'to_patch_embedding.conv_stem.0.weight',
    head: 'linear_head.linear.weight',
    sketch:
      '01ab0002fadb03140e059ae10a3a750a76920fa22b1638cc184603235e0e2495bc28e6052a40aa2ccd2b2cf7602e20702f064e3499873576233585f336f5f038a1dc3a6eeb3ae31b3aef04418399456a184907e54b9aa04c11474db8394edb654f42cf4f5f564fbb3452d36057c24358c5f558fcb75e1403',
  },
  {
    archs: [['standard_vitc_s_patch1_14', 1000]],
    rows: 1,
    digest: '511894ef8bfc93eb',
    shapes: '86555d0479190063',
    first: 'to_patch_embedding.conv_stem.0.weight',
    head: 'linear_head.linear.weight',
    sketch:
      '03cc570420ae05016a059ae107361308ee4609c0e50ae27c0b7a920c5e230cd5390ee3810f23910f31c40f4a7115d24d16e97517b1f0188fc3198ade1a6b611b19891d960c20d5a62737e92ba3da2dafd72de1e73002d136219337de433f894b41dccf4246ca43395a45f0394633fc48b84b4ff04a51430a',
  },
  {
    archs: [['standard_vitc_b_patch1_14', 1000]],
    rows: 1,
    digest: '659643e2164d2139',
    shapes: '95f7d5f77946389e',
    first: 'to_patch_embedding.conv_stem.0.weight',
    head: 'linear_head.linear.weight',
    sketch:
      '00d09f059ae106412007299a0df29a0f6ce81a1ddc1c1b921ce3561d71041ecb192002bc20fe6821bbf921da7225954525b05b27bc3f2a71732b378b2c3ebc2d49af2e39273088ef327a833423b0350237374c4d3cf9113dc3944011c942566442e47144533c4586d34777bb4911c04a3ccf4c3c2d513719',
  },
  {
    archs: [['standard_vitc_l_patch1_14', 1000]],
    rows: 1,
    digest: '88c3602cff294922',
    shapes: '6712516e073f6aff',
    first: 'to_patch_embedding.conv_stem.0.weight',
    head: 'linear_head.linear.weight',
    sketch:
      '01a970051650055bb7059740059ae105cc620a38810afb000b15cb0b2ca20c513d0f11d10f4f5314b10e16568c1b8ea51c80311cbedb20fe6821da7223f9aa24132424690624c9de2583962675ce295c382990dd2a1f862b378b2b72d82cab532d50632dbc5c2e39272f22932fb33a318694344f6237d007',
  },
  {
    archs: [['torchvision_resnet18', 1000]],
    rows: 1,
    digest: '1c9df0824bb87cfa',
    shapes: '5c6646ae2271e1da',
    first: 'conv1.weight',
    head: 'fc.weight',
    sketch:
      '00f71403b2a607d5f90aed2c0b6c431077e715360617ef051ab1321b57cd1ccc101f4514227adb2687ce2b3b8f2cfcba34833039d25939f4da3a69023c821240068840edf841bb8d42028643411c487b004a02144a09874bbf7e4d902b4dd9115421095641e158b9cb59c84f5baac961831464a43e675d18',
  },
  {
    archs: [['torchvision_resnet34', 1000]],
    rows: 1,
    digest: '18957f5ce7018921',
    shapes: '17afb16b4da6a86c',
    first: 'conv1.weight',
    head: 'fc.weight',
    sketch:
      '00f714020bbf03b2a607d5f90952e90aed2c0aee300b3f3b0b6c430bae690c44fe0d0e570d39a80fd5461077e714936115360617ef051ab1321b57cd1ccc101f4514227adb24c7592687ce27ac8727e90129a2f32b3b8f2cfcba2f3f1530916532449a3483303950e139d25939f4da3a69023c82123d9372',
  },
  {
    archs: [['torchvision_resnet50', 1000]],
    rows: 1,
    digest: '92f703861809f0ab',
    shapes: '4ead9b29b8fc373f',
    first: 'conv1.weight',
    head: 'fc.weight',
    sketch:
      '00f714020bbf0328ff03b2a60444b405dc9806917007d5f908ceeb08db6e0952e909e7380aed2c0aee300b3f3b0b6c430c44fe0f92d30fd329102e641077e710989d1269a113286414936114c69f14eabf15360617002717ef051ab1321b57cd1f4514227adb23e6d924c7592687ce276fdf27725427ac87',
  },
  {
    archs: [['torchvision_densenet121', 1000]],
    rows: 1,
    digest: 'ffcaae4748c41fdc',
    shapes: '2b992b3d0eaa1556',
    first: 'features.conv0.weight',
    head: 'classifier.weight',
    sketch:
      '00212900ac2c01312b020455021cd20340ec04217204303e04d31e05907505dc11064c9f065a42065f66071892072b7307c75f07c95408549c087bf0088ec508901808d69209461d0a2d1b0a86060ab2940afd500afe370b2a510b86c00c38b50c3b210c64a30c6a850c9a320dc8730eddc50ef8f30f65e5',
  },
  {
    archs: [['torchvision_densenet161', 1000]],
    rows: 1,
    digest: '12f1b53ff04f2a93',
    shapes: '00317c49c140ca25',
    first: 'features.conv0.weight',
    head: 'classifier.weight',
    sketch:
      '000596004b3200c31b013504016332017792017ab301a28e0208ac0218ab022a3f024f5103c0d60486860493d6050c2b05c34d06b603073899085d3009342609c82509d6960a441d0a61ab0a88990afdc90b4ea30b7db80b84870ba2d90c04200c980c0ca0210d06430d4c140d79750d93a40db2fb0e3236',
  },
  {
    archs: [['torchvision_densenet169', 1000]],
    rows: 1,
    digest: '8a5cc8434fab5fb6',
    shapes: '3c0644a5efc9133e',
    first: 'features.conv0.weight',
    head: 'classifier.weight',
    sketch:
      '00212900ac2c01312b0182b801af19020455021cd202514502824002e6e80340ec04303e0494d004bc2705735c05907505d52c05dc11064c9f065a42065f66071892072b730739c0078dee07c75f07f74d08549c087bf0088ec508901808d69209461d0a2d1b0a86060a958a0ab2940afe370b2a510b86c0',
  },
  {
    archs: [['torchvision_densenet201', 1000]],
    rows: 1,
    digest: 'e9836bc0f7caf08a',
    shapes: '3b05f1bdcdd455ba',
    first: 'features.conv0.weight',
    head: 'classifier.weight',
    sketch:
      '00212900988900ac2c01312b01af19020455021cd202824002d4b30340ec03a1b204303e0438e604bc2704e95405735c05907505d52c05dc11064c9f065a42065f6606715a071892072b730760a1078dee07c75f08549c08660d087bf0088ec508901808d69209461d09eae809fce00a2d1b0a6ae90a8606',
  },
  {
    archs: [['dinov2_vits14', 384]],
    rows: 1,
    digest: 'e5afc4c0e4f4b1e5',
    shapes: '5108daaa0451a3de',
    first: 'cls_token',
    head: '',
    sketch:
      '00722501ba2402f47a03767c03fd29070c910738170b76e70bc9b60bf5cf11a74413c8be142cfe15517817c31718ea831921fa1a4d161a9f541af9d520694222a5d6237c41243b1b2451622869d12a84fe2a9fe62dc7202ddda82f5623315b1332e325358ed036c74a3b03403b44e83d766f3ec3f53fee9e',
  },
  {
    archs: [['bcosified_resnet18', 1000]],
    rows: 1,
    digest: 'cb2d6599aa6ee8d6',
    shapes: '5054cb60d082d67b',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '00f71403b2a605b4bd06100306a62d07d5f90b6c430eb7271077e714100815360617ef051b57cd1b7d921ccc101dfc231f45141fd387227adb2687ce2b3b8f2cfcba2dda2430231334833034b4a534f66339d25939f4da3c821240068840a69342028643411c487201487b004942b84a02144a09874bbf7e',
  },
  {
    archs: [['bcosified_resnet34', 1000]],
    rows: 1,
    digest: '496e8fe165efe11b',
    shapes: '6c253da0286c07ff',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '00f714020bbf03b2a605b4bd06100306a62d07d5f90952e90aee300b3f3b0b6c430c44fe0eb7271077e71410081493611536061671f517ef051ab4fc1b57cd1b7d921ccc101dfc231f45141fd387227adb24c75924fe64252eca2687ce27ac8729a2f32b3b8f2cfcba2dda242f3f1530231330916532449a',
  },
  {
    archs: [['bcosified_resnet50', 1000]],
    rows: 1,
    digest: '9bbc63a161d5a0cb',
    shapes: 'b19f600e3da423c9',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '00f714020bbf02d8a60328ff03b2a603f7750444b405b4bd05dc9806100306536206911c06917006a62d06e8ce07ae6607d5f908ceeb0952e909e7380aee300b3f3b0b6c430c44fe0db8bf0eb7270fd329102e641077e710989d1269a1127ae8133e3a14100814936114c69f1536061671f516e13a170027',
  },
  {
    archs: [['bcosified_densenet121', 1000]],
    rows: 1,
    digest: 'd5f82b1b4c3d2156',
    shapes: '599a3feec0e25fd5',
    first: 'features.conv0.linear.weight',
    head: 'classifier.linear.weight',
    sketch:
      '002129003b18006e44020455021cd20340ec04063904217204303e04d31e04f8b1058cf205907505dc1105f6d205fa94064c9f065a42065f66071892072b73072c900768aa07a0ef07c95408549c086846087bf0088ec508901809461d09730b09afed09d9b809ea370a2d1b0a3c2f0a86060aa9ad0afd50',
  },
  {
    archs: [['bcosified_densenet161', 1000]],
    rows: 1,
    digest: '2ed2ceb13934bfaa',
    shapes: 'c3ba233d5171cdf8',
    first: 'features.conv0.linear.weight',
    head: 'classifier.linear.weight',
    sketch:
      '0005960009b1004b32006e4400c31b0133db01350401498b015dc6016332017792017ab301a28e0208ac0218ab022a3f024f5102a84a03c0d6040f2c0486860493d604b94804f8b1050c2b058cf205f6d206b603072c900768aa079d5707a0ef09328e09342609730b09c82509d69609d6c909ea370a441d',
  },
  {
    archs: [['bcosified_densenet169', 1000]],
    rows: 1,
    digest: 'fad6a9e8c2405061',
    shapes: '85053be20590bcd0',
    first: 'features.conv0.linear.weight',
    head: 'classifier.linear.weight',
    sketch:
      '0009b1000eb6002129003b18006e4401af19020455021cd202824002e6e80340ec04063904303e0494d004bc2704f8b105735c058cf205907505d52c05dc1105f6d205fa94064c9f065a42065f66071892072b73072c900739c00768aa078dee07a0ef08549c086846087bf0088ec508901809461d09730b',
  },
  {
    archs: [['bcosified_densenet201', 1000]],
    rows: 1,
    digest: '15055a64e98a67cb',
    shapes: '4fb3924c78ac188b',
    first: 'features.conv0.linear.weight',
    head: 'classifier.linear.weight',
    sketch:
      '0009b1000eb6002129003b18006e4400919200988901af1901fe5a020455021cd202824002d4b30340ec03a1b204063904303e04bc2704e95404f8b105735c058cf205907505d52c05dc1105f6d205fa94064c9f065a42065f6606715a071892072b73072c900760a10768aa078dee07a0ef08549c086846',
  },
  {
    archs: [['bcosified_simple_vit_ti_patch16_224', 1000]],
    rows: 1,
    digest: '486160b5e1b49b8e',
    shapes: '5c029b78632b4e1a',
    first: 'to_patch_embedding.linear.linear.weight',
    head: 'linear_head.linear.linear.weight',
    sketch:
      '01429501ab0002fadb081ff60a76920a7be00d0c7812c85c12f359140a0815a37316e48616f91b17364217a97a1be35c1c50ed1f55d123c4f4248fa52495bc2818e82853282a40aa2ae6502b55182c985c2cf7602f064e32ce1c333b7a333c0b35762336f5f037379d3771f338a1dc3a6eeb3ae31b3b7548',
  },
  {
    archs: [['bcosified_simple_vit_s_patch16_224', 1000]],
    rows: 1,
    digest: '99d4fe87d56b5226',
    shapes: 'd121b653f67f4dfa',
    first: 'to_patch_embedding.linear.linear.weight',
    head: 'linear_head.linear.linear.weight',
    sketch:
      '01317901429503cc5706aac907361308ee460ae27c0b07d50c5e230e2fd50ee3810f4a7111139013137a14b02f16e4831b198d1be35c1e87d71f55d123a6b623c4f42a7c3d2ae6502ba3da2c985c2dafd72de1e73002d1357f8537379d37de4338f5e93b436d3b75483d2d1f3f71114145bc41dccf4246ca',
  },
  {
    archs: [['bcosified_simple_vit_b_patch16_224', 1000]],
    rows: 1,
    digest: 'eddf63f2a08f6bc2',
    shapes: '4012137557d55e52',
    first: 'to_patch_embedding.linear.linear.weight',
    head: 'linear_head.linear.linear.weight',
    sketch:
      '00d09f01429501733e04a68206412007299a08e2da0903500c292b0df29a103fe61be35c1ce3561f55d12002bc21bbf923c4f427bc3f2a71732ae6502c985c2d49af2dc17b3088ef327a83350f8a35bcd036942a37379d3a80f23b75483dc3943ecc473f2fb63f55163f71113fb1754145bc41e2b744533c',
  },
  {
    archs: [['bcosified_simple_vit_l_patch16_224', 1000]],
    rows: 1,
    digest: '96336b0be6371f7a',
    shapes: '4431d33843d77fd1',
    first: 'to_patch_embedding.linear.linear.weight',
    head: 'linear_head.linear.linear.weight',
    sketch:
      '01429501764601a97003574f05165005974006813206c29e07d0860a38810afb000b15cb0b2ca20cf4080e79bc0f11d10f4f5310bdef11216911f9db14b10e16568c1b8ea51be35c1c80311cbedb1f55d1201fc9219fbf23c4f423f9aa2440f524690624c1fc24c9de2675ce2a67a92ae6502b72d82c985c',
  },
  {
    archs: [['bcosified_vitc_ti_patch1_14', 1000]],
    rows: 1,
    digest: '201b94244f4d3eb0',
    shapes: '6fed751b968937b8',
    first: 'to_patch_embedding.conv_stem.0.linear.weight',
    head: 'linear_head.linear.linear.weight',
    sketch:
      '01429501ab0002fadb077a53081ff60a76920a7be00d0c7812c85c12f359140a0815a37316e48616f91b17364217a97a1be35c1c50ed1f55d123c4f4248fa52495bc2818e82853282a40aa2ae6502b55182c985c2cf7602e20702f064e32ce1c333b7a333c0b35762336f5f037379d3771f338a1dc3a6eeb',
  },
  {
    archs: [['bcosified_vitc_s_patch1_14', 1000]],
    rows: 1,
    digest: '8734463dc42b894e',
    shapes: 'f251afce8845bfa5',
    first: 'to_patch_embedding.conv_stem.0.linear.weight',
    head: 'linear_head.linear.linear.weight',
    sketch:
      '01317901429503cc5707361308ee460ae27c0b07d50c5e230e2fd50ee3810f4a7111139013137a16e4831b19891b198d1be35c1e87d71f55d123a6b623c4f42866022a7c3d2ae6502ba3da2c985c2dafd72de1e73002d1357f8537379d37de433847e638f5e93a9d7d3b436d3b75483f71114145bc41dccf',
  },
  {
    archs: [['bcosified_vitc_b_patch1_14', 1000]],
    rows: 1,
    digest: '7962dc9d198a13e3',
    shapes: 'ba704e4f85de6b1a',
    first: 'to_patch_embedding.conv_stem.0.linear.weight',
    head: 'linear_head.linear.linear.weight',
    sketch:
      '00d09f01429501733e06412007299a08e2da0903500c292b0df29a103fe61a2d411af2b81be35c1ce3561f55d12002bc21bbf9235aa223c4f427bc3f2a71732ae6502c985c2d49af2e39273088ef327a83350f8a35375d36942a37379d37eecc3a80f23a9d7d3b75483cf9113dc3943ecc473f2fb63f5516',
  },
  {
    archs: [['bcosified_vitc_l_patch1_14', 1000]],
    rows: 1,
    digest: '2050ed71f38eae45',
    shapes: '516d243e181866e8',
    first: 'to_patch_embedding.conv_stem.0.linear.weight',
    head: 'linear_head.linear.linear.weight',
    sketch:
      '01429501764601a97005165005974006813206c29e07d0860a38810afb000b15cb0b2ca20cf4080e79bc0f11d10f4f5310bdef11216911f9db14b10e16568c1a2d411af2b81b8ea51be35c1c80311cbedb1f55d1201fc9222f30235aa223c4f423f9aa2440f524690624c1fc24c9de2675ce2a67a92ae650',
  },
  {
    archs: [['cifar10_resnet_20', 10]],
    rows: 2,
    digest: '477dc1ba2c2ec896',
    shapes: 'd85ef079f1135531',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '03d869115e301eccd432f3063f8dc340928548cac259d94f5fe8ba684ce76d8c2175c3a57c93d5857fd1a41610aa39fdc67022d1f32cd2f299df092fe4357bfae03f',
  },
  {
    archs: [
      ['cifar10_resnet_20-nomaxout', 10],
      ['cifar10_resnet_20_gn-unaffine-nomaxout', 10],
      ['cifar10_resnet_20_gnu-unaffine-nomaxout', 10],
      ['cifar10_resnet_20_in-unaffine-nomaxout', 10],
      ['cifar10_resnet_20_inu-unaffine-nomaxout', 10],
      ['cifar10_resnet_20_ln-unaffine-nomaxout', 10],
      ['cifar10_resnet_20_lnu-unaffine-nomaxout', 10],
      ['cifar10_resnet_20_pn-unaffine-nomaxout', 10],
      ['cifar10_resnet_20_pnu-unaffine-nomaxout', 10],
    ],
    rows: 1,
    digest: '9ecbced5264dbc55',
    shapes: '4598fb7a9de39b71',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '0ecf612bedec335c665392f068e10c6be646978ba89ddf2d9fde37a9e0dfb399e5b598a6bf02e0cb96cccec6cad6a261ddc89edfd2aee4357be573a8e62498ecf759',
  },
  {
    archs: [['cifar10_resnet_20_bnu-linear', 10]],
    rows: 2,
    digest: 'a9f26bab6715fde9',
    shapes: 'd85ef079f1135531',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '00296203743903d8690c232a100a21115e301ab8c01d5e521eccd421720623607224dc5826053e29bfae2c78d332f30634d40b37b0c53f8dc340928542d0ae47939e48cac24909d34fd09b5017945148625577ee59d94f5e078e5fe8ba61fb016444b6670c83684ce76d8c2175c3a57913107988987bc8b8',
  },
  {
    archs: [
      ['cifar10_resnet_20_bnu-linear-nomaxout', 10],
      ['cifar10_resnet_20_bn-linear-nomaxout', 10],
    ],
    rows: 1,
    digest: '41e522c1c8938f1e',
    shapes: '4598fb7a9de39b71',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '0029620374390c232a0ecf61100a211ab8c01d5e5221720623607224dc5826053e29bfae2bedec2c78d3335c6634d40b37b0c542d0ae47939e4909d34fd09b5017945148625392f05577ee5e078e61fb016444b6670c8368e10c6be6467913107988987bc8b87f0f848896418bef568d0af88e16a497472f',
  },
  {
    archs: [['cifar10_resnet_32', 10]],
    rows: 2,
    digest: 'ede98028f1e7bf1c',
    shapes: 'b4f3930253005788',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '03d8691121fa115e301d36b61eccd42e123132f30639e0be3f8dc340928548cac24e6fa550875759d94f5fe8ba684ce76d8c216ddf9d75c3a57c93d5857fd1981beea41610aa39fdadb67ac5f937c67022d02294d1f32cd2f299df092fe4357bfae03fff50d1',
  },
  {
    archs: [['cifar10_resnet_32-nomaxout', 10]],
    rows: 1,
    digest: '7ae978ccf8f841b1',
    shapes: '2080abe1746c3ef1',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '0167ea0ecf6127b3c028c8292bedec321fe7335c663b76935392f05e317968e10c6be64683d643978ba89ddf2d9fde37a9e0dfb21f12b399e5b598a6bed3a7bf02e0cb96cccec6cad6a261ddc89edfd2aee101a1e4357be573a8e62498ea504becf759f1e76e',
  },
  {
    archs: [['cifar10_resnet_32_bnu-linear', 10]],
    rows: 2,
    digest: '48fb16ccda725ba3',
    shapes: 'b4f3930253005788',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '00296203743903d8690c232a0e5973100a211121fa115e30183a2c1ab8c01d36b61d5e521eccd421720623607224dc5826053e29825029bfae2c78d32e123132f30634d40b37b0c539e0be3e5fc03f8dc340928542aecf42d0ae43a1ef47939e48cac24909d34b0ee94c38f44e6fa54fd09b501794508757',
  },
  {
    archs: [['cifar10_resnet_32_bnu-linear-nomaxout', 10]],
    rows: 1,
    digest: 'ca47fe5ab09a056f',
    shapes: '2080abe1746c3ef1',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '0029620167ea0374390c232a0e59730ecf61100a21183a2c1ab8c01d5e5221720623607224dc5826053e27b3c028c82929825029bfae2bedec2c78d3321fe7335c6634d40b37b0c53b76933e5fc042aecf42d0ae43a1ef47939e4909d34b0ee94c38f44fd09b50179451486251eb7852f0d35392f05577ee',
  },
  {
    archs: [['cifar10_resnet_44', 10]],
    rows: 2,
    digest: '11e8f92ae4775e89',
    shapes: '76c01fa57344ad5f',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '03d86907856c1121fa115e301737311ce9e41d36b61eccd423668524cbd12e123132f30639e0be3f8dc340928548cac24e6fa550875759d94f5b63415fe8ba684ce76d8c216ddf9d75c3a57c93d58027718233b4857fd1963367981beea41610aa39fdadb67abae2d7c5f937c67022d02294d1f32cd2f299',
  },
  {
    archs: [['cifar10_resnet_44-nomaxout', 10]],
    rows: 1,
    digest: '35f095c9d2d850d6',
    shapes: '39b16c969eb37d2d',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '0167ea06260e0cd1a50ecf6127b3c028c8292aa67b2bedec321fe7335c663b76935392f05a94075e317968e10c6be6467856a883d643846fd6978ba89ddf2d9fde37a76922a9e0dfb1011fb1de73b21f12b399e5b598a6bed3a7bf02e0cb96cccba46ccec6cad6a261ddc89edfd2aee101a1e4357be573a8',
  },
  {
    archs: [['cifar10_resnet_44_bnu-linear', 10]],
    rows: 2,
    digest: 'fb256ddb4279a088',
    shapes: '76c01fa57344ad5f',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '00296203743903d86906ec4907856c0c232a0d7c710e5973100a211121fa115e30123cab137eac173731173924183a2c1ab8c01bc34e1ce9e41d36b61d5e521eccd421720623607223668524cbd124dc5826053e28ae6a29825029bfae2c78d32e123132f30634d40b37b0c539e0be3acb1d3e5fc03f8dc3',
  },
  {
    archs: [['cifar10_resnet_44_bnu-linear-nomaxout', 10]],
    rows: 1,
    digest: '722ab61565b7912a',
    shapes: '39b16c969eb37d2d',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '0029620167ea03743906260e06ec490c232a0cd1a50d7c710e59730ecf61100a21123cab137eac173924183a2c1ab8c01bc34e1d5e5221720623607224dc5826053e27b3c028ae6a28c82929825029bfae2aa67b2bedec2c78d3321fe7335c6634d40b37b0c53acb1d3b76933e5fc042aecf42d0ae43a1ef',
  },
  {
    archs: [['cifar10_resnet_56', 10]],
    rows: 2,
    digest: '817b468a5a052a77',
    shapes: 'a7275ab64b13e9d4',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '03d86904e1ae07856c0be1cf0ec6b51121fa115e301737311ce9e41d36b61eccd423668524cbd12e123132f30639e0be3f8dc340928548cac24e6fa550875759d94f5b63415ea1e75fe8ba684ce76d8c216ddf9d6e232475275975c3a57c93d58027718233b4857fd18f13bf963367981beea41610aa39fd',
  },
  {
    archs: [['cifar10_resnet_56-nomaxout', 10]],
    rows: 1,
    digest: '7870c2362932c7ef',
    shapes: '24e4e81eebabe02a',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '0167ea06260e0bae8d0cd1a50ecf6125dd2d273a8d27b3c028c8292aa67b2bedec321fe7335c663b76934251745392f05a94075e317968e10c6be646764c197856a879e208803f3c83d643846fd6978ba89b6c0d9ddf2d9fde37a76922a9e0dfb0b9dab1011fb1de73b21f12b399e5b598a6bc7f99bed3a7',
  },
  {
    archs: [['cifar10_resnet_56_bnu-linear', 10]],
    rows: 2,
    digest: '9235a2c530527df7',
    shapes: 'a7275ab64b13e9d4',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '0029620226d203743903d86904e1ae06ec4907856c0be1cf0c232a0d7c710e59730ec6b5100a211121fa115e30123cab12fc0f137eac173731173924183a2c1ab8c01bc34e1ce9e41d27b31d36b61d5e521eccd4217206221b80235c6123607223668524cbd124dc5826053e27dd962874ca28ae6a298250',
  },
  {
    archs: [['cifar10_resnet_56_bnu-linear-nomaxout', 10]],
    rows: 1,
    digest: '33d53d654666a613',
    shapes: '24e4e81eebabe02a',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '0029620167ea0226d203743906260e06ec490bae8d0c232a0cd1a50d7c710e59730ecf61100a21123cab12fc0f137eac173924183a2c1ab8c01bc34e1d27b31d5e52217206221b80235c6123607224dc5825dd2d26053e273a8d27b3c027dd962874ca28ae6a28c82929825029bfae2aa67b2bedec2c3f08',
  },
  {
    archs: [
      ['cifar10_resnet_20_bnu', 10],
      ['cifar10_resnet_20_bn', 10],
    ],
    rows: 2,
    digest: '1f29a1f747605c37',
    shapes: 'd85ef079f1135531',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '00296203743903d8690c232a0ecd4a100a21115e301ab8c01d5e521eccd421720623607224dc5826053e26cf3b29bfae2c78d332e4d432f3063448a5346f5834d40b37b0c53b66243ee3993f8dc340928542d0ae47939e48cac24909d34a47164fd09b5017945148625577ee59d94f5e078e5fe8ba61fb01',
  },
  {
    archs: [
      ['cifar10_resnet_20_bnu-unaffine-nomaxout', 10],
      ['cifar10_resnet_20_bn-unaffine-nomaxout', 10],
    ],
    rows: 1,
    digest: 'ec4970b2501d252e',
    shapes: '4598fb7a9de39b71',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '0c232a0ecf61100a211d5e5221720623607224dc5826053e29bfae2bedec335c6634d40b37b0c542d0ae47939e4fd09b5017945148625392f05577ee5e078e61fb01670c8368e10c6be6467913107f0f848896418e16a497472f978ba899db5a9ddf2d9f22cd9fde37a9e0dfb2af77b2d8b8b399e5b598a6',
  },
  {
    archs: [['convnext_tiny', 1000]],
    rows: 1,
    digest: '5d80a76cf113bc22',
    shapes: 'fdaa96c913f52a3e',
    first: 'features.0.linear.weight',
    head: 'classifier.1.linear.weight',
    sketch:
      '004568006f7a01d3af050bba05e80f06f6d307475e075d6c07c86808dcef0959ef0a902c0b90c90c1b3a0e9e7e0f1a4b14bc6b15fd2618af3a18b20019cf4f25efb02b16f92eb06134984635ec78381d0e382b3c3f03164889514b8c0d4cc5114d77b9513bee52c66f53fe875416fd5a295a5baba762afa0',
  },
  {
    archs: [['convnext_base', 1000]],
    rows: 1,
    digest: '2293934a4d12b2d5',
    shapes: 'ca2c402abf2b1b4e',
    first: 'features.0.linear.weight',
    head: 'classifier.1.linear.weight',
    sketch:
      '004fab0298b902a584046c6005a8f80655b20ad7580ba9360e9e7310b12011c72511ec21139918139f4d14bca6178f4b180c751aebe01bf5641c6d421db2ca1dc2a21f0ee61f33a82061d52243b3242b7a244d392679b8278a8b29669329dd942b45452eff772f541f30e93832863f32ee4532f4023304a9',
  },
  {
    archs: [
      ['cifar10_resnet_20_an', 10],
      ['cifar10_resnet_20_anu', 10],
    ],
    rows: 2,
    digest: 'f1bf4aed190d3afb',
    shapes: 'd85ef079f1135531',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '03d8690827d20854a90b1e090b670a0c7f7d1064e6115e3016fabb1b9d471be53b1dddaf1eb2071eccd421c93827b1672ebf9d30f68e315fd432f306343140367cf33a51fb3a7fad3e4ea83e94ed3f8dc33f961d4092854213684242c445a5ca48cac249cfbc4a6aaa4a968e4f97d755a40e56a90e59d94f',
  },
  {
    archs: [
      ['cifar10_resnet_20_an-linear-nomaxout', 10],
      ['cifar10_resnet_20_anu-linear-nomaxout', 10],
    ],
    rows: 1,
    digest: '1aad8d2c7176eb7b',
    shapes: '4598fb7a9de39b71',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '0854a90b1e090ecf611064e616fabb1b9d471be53b21c93827b1672bedec2ebf9d30f68e315fd4335c663431403a7fad3e4ea83e94ed3f961d4213684242c445a5ca49cfbc4a6aaa4a968e4f97d75392f055a40e56a90e5c04ac68e10c6be6466e9fc1716dc674d04a7786a377dc7d7955987f1ebe80a984',
  },
  {
    archs: [
      ['cifar10_resnet_20_an-unaffine-nomaxout', 10],
      ['cifar10_resnet_20_anu-unaffine-nomaxout', 10],
    ],
    rows: 1,
    digest: 'd3a31614814b11be',
    shapes: '4598fb7a9de39b71',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '0854a90b1e090ecf611064e616fabb1b9d471be53b21c93827b1672bedec315fd4335c663431403a7fad3e94ed3f961d4213684242c445a5ca49cfbc4a968e5392f055a40e56a90e68e10c6be6466e9fc174d04a7786a377dc7d7955987f1ebe80a9848865a68c5b30978ba89ddf2d9f3c739fde37a730ab',
  },
  {
    archs: [
      ['cifar10_resnet_20_gn', 10],
      ['cifar10_resnet_20_gnu', 10],
      ['cifar10_resnet_20_in', 10],
      ['cifar10_resnet_20_inu', 10],
      ['cifar10_resnet_20_ln', 10],
      ['cifar10_resnet_20_lnu', 10],
      ['cifar10_resnet_20_pn', 10],
      ['cifar10_resnet_20_pnu', 10],
    ],
    rows: 2,
    digest: 'f46ef8ddae0c59d4',
    shapes: 'd85ef079f1135531',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '00296203743903d8690ecd4a115e301ab8c01eccd426cf3b2c78d332e4d432f3063448a5346f583b66243ee3993f8dc340928548cac24909d34a471659d94f5fe8ba6444b6684ce76d8c2175c3a57988987bc8b87c93d57d002e7e6842857fd18872c48bef568d0af897cf099968b99b01fa9dc55fa14fe9',
  },
  {
    archs: [
      ['cifar10_resnet_20_gn-linear-nomaxout', 10],
      ['cifar10_resnet_20_gnu-linear-nomaxout', 10],
      ['cifar10_resnet_20_in-linear-nomaxout', 10],
      ['cifar10_resnet_20_inu-linear-nomaxout', 10],
      ['cifar10_resnet_20_ln-linear-nomaxout', 10],
      ['cifar10_resnet_20_lnu-linear-nomaxout', 10],
      ['cifar10_resnet_20_pn-linear-nomaxout', 10],
      ['cifar10_resnet_20_pnu-linear-nomaxout', 10],
    ],
    rows: 1,
    digest: '2039f1a306c61cd5',
    shapes: '4598fb7a9de39b71',
    first: 'conv1.linear.weight',
    head: 'fc.linear.weight',
    sketch:
      '0029620374390ecf611ab8c02bedec2c78d3335c664909d35392f06444b668e10c6be6467988987bc8b88bef568d0af8978ba89968b99dc55f9ddf2d9fde37a5cfe6a9e0dfb399e5b598a6bf02e0c0e3e6c4419bcb96cccec5fecec6cad6a261ddc89edfd2aee4357be573a8e62498ecf759f36125f3e774',
  },
];
